"""The bytes of one image: header, pixels, or the reason why there are none."""
