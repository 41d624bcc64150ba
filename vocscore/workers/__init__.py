"""Workers: numbered items of work go out, results come back; nothing is committed in a worker.

`dispatch` decides who gets what and what a death means. A `Transport` is where workers run:
`processes` on this machine, `ray_actors` on a Ray cluster.
"""
