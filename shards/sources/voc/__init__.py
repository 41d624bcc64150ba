"""PASCAL VOC trees, as written by the development kit and labeling tools."""
