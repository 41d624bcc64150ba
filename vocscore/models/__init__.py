"""Backbone names to networks, their weights, and the checkpoints that they are kept in."""
