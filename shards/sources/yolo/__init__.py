"""Reads Ultralytics YOLO data sets: a data.yaml, images, and one text file of boxes per image."""
