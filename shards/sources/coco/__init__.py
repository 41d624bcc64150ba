"""Labels as COCO instances: one file, or one for each split."""
