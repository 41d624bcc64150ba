"""Describes a missing or broken library in one line, with the command that installs it."""

from __future__ import annotations

from importlib.util import find_spec

OWN = ("vocscore", "shards", "bench", "__main__", "runpy")
PACKAGES = {"PIL": "pillow", "nvidia": "nvidia-dali-cuda130", "sklearn": "scikit-learn"}
"""Import name -> package name, if they differ."""


def cannot_be_loaded(error: Exception) -> str | None:
    """Return which library could not be imported, why, and how to install it.

    Args:
        error: any exception; a broken installation may raise any type.

    Returns:
        One line; None if no import failed, or only that of a module of this program.
    """
    name = _library(error)
    if name is None:
        return None
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[0].rstrip(".:") if lines else type(error).__name__
    options = "" if _is_missing(name) else "--upgrade --force-reinstall "
    return (
        f"{name} cannot be loaded ({reason}). "
        f"Install it: pip install {options}{PACKAGES.get(name, name)}"
    )


def _library(error: Exception) -> str | None:
    """Return the name of the library that could not be imported."""
    if isinstance(error, ImportError) and error.name:
        name = error.name.partition(".")[0]
        return None if name in OWN else name
    trace = error.__traceback__
    while trace is not None:
        # the body of a module only runs while it is imported
        name = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if trace.tb_frame.f_code.co_name == "<module>" and name not in OWN:
            return name
        trace = trace.tb_next
    return None


def _is_missing(name: str) -> bool:
    try:
        return find_spec(name) is None
    except (ImportError, ValueError):  # its parent is broken; it has no spec
        return False
