"""What is kept: parts, commits, resume, the joined output and its formats."""
