"""`python -m bench gpu`: everything that is to be known of a machine with a GPU, in one command."""
