"""How scored rows are written: one module a format, and one place that chooses between them.

A format writes the part of one unit and joins parts; it knows no folders and no commits. `choice`
reads the name of -o, `selection` says which of the numbers are written, `text` and `numbers` hold
what the formats share.
"""
