"""The page: predictions, mistakes and thresholds in a browser, served on this machine."""
