"""Counts in messages."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """A number with its noun: '1 row', '2 rows'."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
