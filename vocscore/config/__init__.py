"""The options of every command, in groups: the only place of defaults, help texts and ranges.

Each command has a dataclass of groups (`training.TrainConfig`, `scoring.ScoreConfig`,
`packing.PackConfig` ...). The command line, the Python functions and the recipes are built from
them; a job takes such a dataclass, and what does the work below takes plain arguments.
"""
