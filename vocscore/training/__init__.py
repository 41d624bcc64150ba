"""Training: from shards to a trained network, its history and its curves."""

from vocscore import caches

caches.settle()
