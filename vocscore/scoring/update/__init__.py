"""`score --update`: keeps the rows of images that have not changed, and scores the others.

`old_rows` finds the rows in the old output, `reuse` decides which of them stay, and `merging` joins
them with the new ones in the order of a fresh run.
"""
