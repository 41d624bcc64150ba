"""Shards to a trained network, its history and its curves."""
