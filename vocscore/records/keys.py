"""Stored JSON keys that differ from the code's names.

Runs, predictions and unfinished work are read by later versions and by other programs, so a field
that was renamed in the code keeps its key in JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

STORED: Final = {
    "images": "pictures",
    "labeled": "labelled",
    "loader": "maker",
    "optimizer": "optimiser",
    "standardize": "standardise",
}
"""Field in the code -> key in JSON."""


def stored(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Rename fields to their keys on disk; others keep their names, and all their order."""
    return {STORED.get(name, name): value for name, value in fields.items()}


def stored_loader(kind: str) -> str:
    """The stored name of an image loader's class: 'HostMaker' for 'HostLoader'."""
    return kind.replace("Loader", "Maker")


def current_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Stored settings of scoring under their current names, and the image loader's."""
    found = {shown(name): value for name, value in settings.items()}
    if isinstance(found.get("loader"), str):
        found["loader"] = found["loader"].replace("Maker", "Loader")
    return found


def shown(key: str) -> str:
    """The current name of a stored key, for messages."""
    return next((name for name, old in STORED.items() if old == key), key)
