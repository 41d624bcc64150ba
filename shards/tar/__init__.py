"""Tars: the headers of written shards, and the images in any tar."""
