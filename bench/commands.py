"""The program as a person runs it, in this process: the words of a command, timed or not."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout


def vocscore(*words: object) -> None:
    """Run one command; what it prints goes to standard error.

    Raises:
        click.ClickException: what the command line would have shown as one line.
        SystemExit: it was interrupted, and said so.
    """
    from vocscore.cli.main import main

    with redirect_stdout(sys.stderr):
        code = main.main([str(word) for word in words], prog_name="vocscore", standalone_mode=False)
    if code:
        raise SystemExit(code)
