"""The options of every command, in groups: the only place of defaults, help texts and ranges.

Each command has a dataclass of groups (`training.TrainConfig`, `scoring.ScoreConfig`,
`packing.PackConfig` ...). The command line, the Python functions and the recipes are built from
them. A command's function takes such a dataclass; the functions below it take plain arguments.
"""
