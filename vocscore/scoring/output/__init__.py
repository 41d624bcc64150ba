"""The output of scoring: parts, commits, resume, the joined output and its record."""
