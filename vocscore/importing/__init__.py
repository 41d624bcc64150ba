"""Import: makes a run folder from a model that another program trained."""
