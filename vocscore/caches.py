"""The cache folder of this package and of the libraries that it uses.

It is in the user's cache by the XDG base directory specification. If there is none (no home, or a
home that cannot be written), everything works without it: files that libraries must write go into
a temporary folder that is removed when the process ends.
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
    # torch makes this one when it imports its compiler, as every optimizer does; without the
    # variable, it is made in the temporary folder and never removed
    "TORCHINDUCTOR_CACHE_DIR": "torchinductor",
    # kernels that torch and the CUDA driver compile; otherwise in ~/.cache/torch and ~/.nv
    "PYTORCH_KERNEL_CACHE_PATH": "torch-kernels",
    "CUDA_CACHE_PATH": "cuda",
}
"""Variables that tell libraries where to write -> folder in our cache."""


def folder() -> Path | None:
    """This package's cache. It may be missing or unwritable; None if the home is unknown.

    Source: XDG base directory specification; a relative XDG_CACHE_HOME is ignored.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if base.is_absolute():
        return base / "vocscore"
    home = user_home()
    return None if home is None else home / ".cache" / "vocscore"


def user_home() -> Path | None:
    """The home folder by HOME, else by the password file; None if neither has one."""
    home = os.environ.get("HOME", "")
    if not home:
        with suppress(KeyError):  # `docker run --user 12345`
            home = pwd.getpwuid(os.getuid()).pw_dir
    return Path(home) if Path(home).is_absolute() else None


def settle() -> None:
    """Point libraries' cache files to our cache. Variables that the user has set are kept.

    Worker processes inherit it.
    """
    for variable, name in PLACES.items():
        _point(variable, name)


def settle_matplotlib() -> None:
    """Point matplotlib's font list to our cache; call it before matplotlib is imported.

    matplotlib looks for the user's settings in the same folder, so their path is set too.
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
    """Allow importing a library that needs a home folder, if there is none.

    It cannot write anything there: the temporary home is a file.
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
    """Set a variable to a writable folder; return whether it was set here."""
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
    """A temporary folder of this process, removed when it ends."""
    made = tempfile.mkdtemp(prefix="vocscore-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)
