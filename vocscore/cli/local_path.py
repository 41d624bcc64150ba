"""Paths on the command line: what is a URL is refused by its own name, and not made a path of."""

from __future__ import annotations

from typing import Any

import click

from vocscore.cli.common import KnownError
from vocscore.errors import ScoreError
from vocscore.score.inputs.urls import refuse_url


class LocalPath(click.Path):
    """`click.Path` that knows a URL when it sees one: as a path it has lost one of its slashes.

    Args:
        written: something is to be written there, and not read.
        options: of `click.Path`.
    """

    def __init__(self, *, written: bool = False, **options: Any) -> None:
        """Be a `click.Path`."""
        super().__init__(**options)
        self._written = written

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse a URL in one line; take anything else as `click.Path` does."""
        try:
            refuse_url(value, written=self._written)
        except ScoreError as error:
            raise KnownError(str(error)) from error
        return super().convert(value, param, ctx)
