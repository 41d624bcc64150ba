"""Turn folders of pictures into multi-label predictions."""
