"""Tars: the headers that shards are written with, and the images in anybody's tar."""
