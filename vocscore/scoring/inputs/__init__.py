"""What there is to score: walks, lists and tars, cut into units."""
