"""What to score: folders, lists and tars, divided into units."""
