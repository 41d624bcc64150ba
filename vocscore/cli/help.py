"""`--help`: options in titled panels, and a link to the documentation.

It uses click's formatter: importing rich would double the CPU time of `vocscore --help`.
"""

from __future__ import annotations

import difflib
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import click

from vocscore.cli.options import OTHERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DOCUMENTATION = "https://github.com/vocscore/vocscore/blob/main/docs/README.md"
MAX_WIDTH = 120
"""Columns; wider lines are hard to read."""
_TERM_WIDTH = 30
"""Columns for an option's name; a longer one is on a separate line."""
_LIKE = 0.6
"""Minimum similarity of a suggested word, as `difflib` measures it."""


class Formatter(click.HelpFormatter):
    """Bold headings; `click.echo` removes the escape codes if the output is not a terminal."""

    def write_heading(self, heading: str) -> None:
        """Write a title, bold unless NO_COLOR (no-color.org) is set."""
        super().write_heading(heading if os.environ.get("NO_COLOR") else _bold(heading))


def _bold(text: str) -> str:
    return click.style(text, bold=True)


class PanelContext(click.Context):
    """The context of a command whose help is written by a `Formatter`."""

    formatter_class = Formatter


class Later(ABC):
    """A value that takes long to get: it is got when the whole command line was understood."""

    @abstractmethod
    def get(self) -> object:
        """Return it."""


class PanelCommand(click.Command):
    """A command whose `--help` groups the options under titles."""

    context_class = PanelContext

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, with the values that were left for later."""
        for name, value in ctx.params.items():
            if isinstance(value, Later):
                ctx.params[name] = value.get()
            elif isinstance(value, tuple) and any(isinstance(one, Later) for one in value):
                ctx.params[name] = tuple(
                    one.get() if isinstance(one, Later) else one for one in value
                )
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section per panel, in the order of the options; untitled ones last."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx)
            if record is not None and isinstance(option, click.Option):
                panels.setdefault(getattr(option, "panel", OTHERS), []).append(record)
        others = panels.pop(OTHERS, [])
        write_panels(formatter, [*panels.items(), (OTHERS, others)])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the link to the documentation."""
        del ctx
        write_link(formatter)


def write_panels(
    formatter: click.HelpFormatter, panels: Iterable[tuple[str, list[tuple[str, str]]]]
) -> None:
    """Write sections of two columns, aligned across sections."""
    filled = [(title, rows) for title, rows in panels if rows]
    terms = [term for _, rows in filled for term, _ in rows if len(term) <= _TERM_WIDTH]
    width = max(map(len, terms), default=0)
    for title, rows in filled:
        with formatter.section(title):
            aligned = [(term.ljust(width), text) for term, text in rows]
            formatter.write_dl(aligned, col_max=width)


def write_link(formatter: click.HelpFormatter) -> None:
    """Write the URL of the documentation on one line, so that terminals recognize it as a link."""
    formatter.write_paragraph()
    formatter.write(f"Documentation: {DOCUMENTATION}\n")


def nearest(word: str, known: Sequence[str]) -> str:
    """Return a sentence that suggests the most similar known word; '' if none is similar."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=_LIKE)
    return f" Did you mean {near[0]!r}?" if near else ""
