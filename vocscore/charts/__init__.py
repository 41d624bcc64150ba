"""Figures as image files, PNG and SVG, without a window and without global state."""
