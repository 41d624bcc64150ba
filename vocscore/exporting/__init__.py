"""A checkpoint in another form, made only if it scores as the checkpoint does."""

from vocscore import caches

caches.settle()
