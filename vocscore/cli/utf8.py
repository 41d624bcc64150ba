"""File names are UTF-8, whatever the locale of the shell says.

Where the locale is another one (LC_ALL=C with PYTHONUTF8=0, or Latin-1), Python would take the
bytes of a name for other letters, and then neither find the file that a table names, nor write its
name as every other run does. Python's UTF-8 mode settles this, from the start of a process only.
"""

from __future__ import annotations

import codecs
import os
import sys

_MODE = "utf8"
"""Python's -X option."""


def in_utf8_mode() -> None:
    """Start this process over in Python's UTF-8 mode, where it does not read names as UTF-8.

    Does nothing where it does, or where the mode was chosen by -X. Call it before anything else:
    what the process has done so far is lost.
    """
    if sys.getfilesystemencoding() == "utf-8" or _MODE in sys._xoptions or not sys.executable:  # noqa: SLF001 - documented; there is no other way
        return
    environment = {**os.environ, "PYTHONUTF8": "1"}  # for processes that are started later
    terminal = codecs.lookup(sys.stdout.encoding).name if sys.stdout else "ascii"
    if terminal not in ("ascii", "utf-8"):
        environment.setdefault("PYTHONIOENCODING", f"{terminal}:backslashreplace")
    arguments = [sys.executable, "-X", _MODE, *sys.orig_argv[1:]]
    os.execve(sys.executable, arguments, environment)  # noqa: S606 - this very program
