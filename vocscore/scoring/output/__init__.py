"""What is written: parts, commits, resume, the joined output and its record."""
