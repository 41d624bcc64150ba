"""Bulk scoring: as many rows as inputs, each beside its own name, whatever happens.

`inputs` turns a source into units of names, `run` takes each unit through loader and network to a
part, `ledger` commits parts and joins them. `walk` lists folders, `forward` keeps the network's
batches to one shape, `tally` proves that every row came exactly once, `formats` writes the rows.
`globs` chooses inputs; `offenders` are the bad ones of a unit, `quarantine` copies them, and
`bad_inputs` ends a run that has too many. `engines` say where units run.
"""
