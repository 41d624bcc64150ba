"""Labels as COCO instances: one file, or one per split."""
