"""Predictions beside labels: figures that people can trust."""
