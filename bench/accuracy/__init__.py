"""`python -m bench accuracy`: the published experiment on one's own data, and recipes compared."""
