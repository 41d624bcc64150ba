"""Roboflow's export of multi-label classification: `_classes.csv` beside the images."""
