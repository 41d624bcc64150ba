"""Exports a checkpoint to other formats, after checking that it gives the same probabilities."""

from vocscore import caches

caches.settle()
