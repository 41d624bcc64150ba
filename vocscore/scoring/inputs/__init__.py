"""The inputs of scoring: folders, lists and tars, divided into units."""
