"""Reads one image: its header, its pixels, or the reason why it cannot be used."""
