"""Scoring by several processes without a driver: each scores a share, the last step merges."""
