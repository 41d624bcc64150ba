"""The command line: parse, build a frozen config, call, map errors to exit codes.

The only room that imports click. It is read on every `vocscore --help`, so nothing heavy (torch,
DALI, NumPy) is imported here but inside the commands that need it.
"""
