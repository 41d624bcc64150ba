"""Data on disk: annotated sets, tar shards, images. No tensors, no devices, no models."""
