"""Bulk scoring: exactly one row per input, labeled with its own name, even after failures.

`inputs` lists a source and divides it into units. `engines` score units, in this process or in one
process per device. `output` commits parts and joins them; `formats` write the rows. `bad_inputs`
copies inputs that failed and stops a run that has too many. `run` connects these, `scoring` passes
the units from stage to stage, and `ceilings` measures how close a run came to the machine's limit.
"""
