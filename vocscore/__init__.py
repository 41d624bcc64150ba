"""Turn folders of pictures into multi-label predictions."""

from vocscore import offline

offline.settle()
