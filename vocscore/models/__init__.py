"""Networks by the name of their backbone, their weights, and their checkpoints."""
