"""A clock runs here: the two floors below, and the peers beside them."""
