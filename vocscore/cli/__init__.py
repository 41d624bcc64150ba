"""The command line: parse, build a frozen config, call, map errors to exit codes.

Only this package imports click. It is imported on every `vocscore --help`, so heavy libraries
(torch, DALI, NumPy) are imported inside the commands that need them.
"""
