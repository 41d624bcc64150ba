"""Figures as images: PNG files, without a window and without global state."""
