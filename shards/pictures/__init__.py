"""The bytes of one picture: header, pixels, or the reason why there are none."""
