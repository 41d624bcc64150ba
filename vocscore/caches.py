"""Where this package, and the libraries beneath it, keep what only saves time.

All of it is in one folder, the user's cache by the XDG base directory specification. Where there is
none (no home, a home that cannot be written) the work goes on without it: what libraries insist on
writing goes into a temporary folder that is removed at the end of the process.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import tempfile
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACES = {
    # torch makes this one when it imports its compiler, which every optimizer does; without the
    # variable in the temporary folder, where it stays
    "TORCHINDUCTOR_CACHE_DIR": "torchinductor",
    # kernels that torch and the CUDA driver compile; without them ~/.cache/torch and ~/.nv
    "PYTORCH_KERNEL_CACHE_PATH": "torch-kernels",
    "CUDA_CACHE_PATH": "cuda",
}
"""Variables by which libraries are told where to write -> folder in ours."""


def folder() -> Path | None:
    """This package's cache. It may be missing or unwritable; None where no home is known.

    Source: XDG base directory specification; a relative XDG_CACHE_HOME is ignored.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if base.is_absolute():
        return base / "vocscore"
    home = user_home()
    return None if home is None else home / ".cache" / "vocscore"


def user_home() -> Path | None:
    """The home folder by HOME, else by the password file; None where neither names one."""
    home = os.environ.get("HOME", "")
    if not home:
        with suppress(KeyError):  # `docker run --user 12345`
            home = pwd.getpwuid(os.getuid()).pw_dir
    return Path(home) if Path(home).is_absolute() else None


def settle() -> None:
    """Tell libraries to keep their cache files in ours. What the user has set stays.

    Worker processes inherit it.
    """
    for variable, name in PLACES.items():
        _point(variable, name)


def settle_matplotlib() -> None:
    """Tell matplotlib to keep its list of fonts in our cache; called before it is imported.

    It looks for the user's settings in the same folder, so it is told where they are.
    """
    if not _point("MPLCONFIGDIR", "matplotlib"):
        return
    base, home = Path(os.environ.get("XDG_CONFIG_HOME", "")), user_home()
    if not base.is_absolute():
        if home is None:
            return
        base = home / ".config"
    settings = base / "matplotlib" / "matplotlibrc"
    if os.access(settings, os.R_OK):
        os.environ.setdefault("MATPLOTLIBRC", str(settings))


@contextmanager
def some_home() -> Iterator[None]:
    """Let a library be imported that asks for the home folder, where there is none.

    What it would put there, it cannot: the home is a file.
    """
    if user_home() is not None:
        yield
        return
    before = os.environ.get("HOME")
    os.environ["HOME"] = os.devnull
    try:
        yield
    finally:
        del os.environ["HOME"]
        if before is not None:
            os.environ["HOME"] = before


def _point(variable: str, name: str) -> bool:
    """Set a variable to a folder that can be written; whether it was set here."""
    if variable in os.environ:
        return False
    for base in (folder, _temporary):
        try:
            place = base()
            if place is not None:
                (place / name).mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if place is not None and os.access(place / name, os.W_OK | os.X_OK):
            os.environ[variable] = str(place / name)
            return True
    return False


@cache
def _temporary() -> Path:
    """A folder of this process's own, removed when it ends."""
    made = tempfile.mkdtemp(prefix="vocscore-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)
