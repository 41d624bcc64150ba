"""PASCAL VOC trees, as the development kit and labeling tools write them."""
