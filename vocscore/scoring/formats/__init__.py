"""Output formats of scored rows: one module per format.

A format writes the part of one unit and joins parts; it does not handle folders or commits.
`choice` derives the format from the name of -o, `selection` determines which probabilities are
written, `text` and `numbers` contain what the formats share.
"""
