"""How scored rows are written: one module per format, and one place that chooses between them.

A format writes the part of one unit and joins parts; it knows nothing of folders and commits.
`choice` reads the name of -o, `selection` says which of the numbers are written, `text` and
`numbers` contain what the formats share.
"""
