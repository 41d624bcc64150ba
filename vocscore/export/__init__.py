"""A checkpoint in another form, made only if it scores as the checkpoint does."""
