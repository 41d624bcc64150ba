"""Bad inputs beyond their rows: copies of them, and a limit to their share."""
