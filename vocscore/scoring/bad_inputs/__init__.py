"""Handling of bad inputs in addition to their rows: copies, and a limit on their share."""
