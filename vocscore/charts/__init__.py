"""Figures as pictures: PNG files, without a window and without global state."""
