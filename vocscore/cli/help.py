"""`--help` of a command: its options in titled panels, its examples, and where to read more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vocscore.cli.options import OTHERS

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_WIDTH = 120
"""Columns; wider lines are hard to read."""
_TERM_WIDTH = 30
"""Columns for an option's name; a longer one has a line of its own."""


class PanelCommand(click.Command):
    """A command whose `--help` groups the options under titles."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section per panel, in the order of the options; the untitled come last."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx)
            if record is not None and isinstance(option, click.Option):
                panels.setdefault(getattr(option, "panel", OTHERS), []).append(record)
        others = panels.pop(OTHERS, [])
        write_panels(formatter, [*panels.items(), (OTHERS, others)])


def write_panels(
    formatter: click.HelpFormatter, panels: Iterable[tuple[str, list[tuple[str, str]]]]
) -> None:
    """Write sections of two columns that all begin at the same place."""
    filled = [(title, rows) for title, rows in panels if rows]
    terms = [term for _, rows in filled for term, _ in rows if len(term) <= _TERM_WIDTH]
    width = max(map(len, terms), default=0)
    for title, rows in filled:
        with formatter.section(title):
            aligned = [(term.ljust(width), text) for term, text in rows]
            formatter.write_dl(aligned, col_max=width)
