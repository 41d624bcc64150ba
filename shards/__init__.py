"""Bytes on disk: annotated sets, tar shards, pictures. No tensors, no devices, no models."""
