"""Reads file names as UTF-8 in any locale.

With another locale (LC_ALL=C with PYTHONUTF8=0, or Latin-1), Python would decode names differently:
it would not find files named in a table, and would write names differently from other runs.
Python's UTF-8 mode prevents this, but can only be set at the start of a process.
"""

from __future__ import annotations

import codecs
import os
import sys

_MODE = "utf8"
"""Python's -X option."""


def in_utf8_mode() -> None:
    """Restart this process in Python's UTF-8 mode if it does not decode names as UTF-8.

    Does nothing if it does, or if the mode was set by -X. Call it before anything else: the
    state of the process is lost.
    """
    if sys.getfilesystemencoding() == "utf-8" or _MODE in sys._xoptions or not sys.executable:  # noqa: SLF001 - documented; there is no other way
        return
    environment = {**os.environ, "PYTHONUTF8": "1"}  # for processes that are started later
    terminal = codecs.lookup(sys.stdout.encoding).name if sys.stdout else "ascii"
    if terminal not in ("ascii", "utf-8"):
        environment.setdefault("PYTHONIOENCODING", f"{terminal}:backslashreplace")
    arguments = [sys.executable, "-X", _MODE, *sys.orig_argv[1:]]
    os.execve(sys.executable, arguments, environment)  # noqa: S606 - this very program
