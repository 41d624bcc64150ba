"""Charts as image files, PNG and SVG, without a window or global state."""
