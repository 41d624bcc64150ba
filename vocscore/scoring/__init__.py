"""Bulk scoring: exactly one row per input, each beside its own name, whatever happens.

`inputs` lists a source and divides it into units, `engines` score units, in this process or in one
per device, `output` commits parts and joins them, `formats` write the rows. `bad_inputs` copies
inputs that failed and stops a run that has too many. `run` puts these together, `scoring` takes the
units from one to the next, `ceilings` says how close a run came to what the machine can do.
"""
