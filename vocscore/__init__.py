"""Turn folders of images into multi-label predictions."""

from vocscore import offline

offline.settle()
