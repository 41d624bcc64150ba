"""Reads WebDataset tars whose samples have labels as cls, npy or json."""
