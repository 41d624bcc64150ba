"""Reads the names of torchvision's classifiers without importing it, which takes seconds."""

from __future__ import annotations

import difflib
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vocscore.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Collection

_REGISTERED = re.compile(r"^@register_model\(\)$.*?^def (\w+)\(", re.MULTILINE | re.DOTALL)
"""A function in torchvision's source that builds the model of the same name."""
_PROOF = frozenset({"alexnet", "googlenet", "resnet18", "vgg16"})
"""Names that must be found if the source has the expected layout."""


@cache
def names_in_source() -> frozenset[str]:
    """Return the classifiers of the installed torchvision; empty if it cannot be read."""
    spec = find_spec("torchvision")
    folders = [] if spec is None else spec.submodule_search_locations or []
    files = [file for folder in folders for file in Path(folder, "models").glob("*.py")]
    names = frozenset(
        name
        for file in files
        for name in _REGISTERED.findall(file.read_text(encoding="utf-8", errors="replace"))
    )
    return names if names >= _PROOF else frozenset()


def check_backbone(name: str) -> None:
    """Refuse a backbone that torchvision does not have, if this is known without importing it.

    Raises:
        CheckpointError: there is no such backbone; the message suggests similar names.
    """
    known = names_in_source()
    if known:
        refuse_unknown(name, known)


def refuse_unknown(name: str, known: Collection[str]) -> None:
    """Refuse an unknown backbone.

    Raises:
        CheckpointError: it is unknown; the message suggests similar names.
    """
    if name in known:
        return
    near = ", ".join(difflib.get_close_matches(name.lower(), sorted(known), n=3, cutoff=0.5))
    hint = f"Similar: {near}" if near else f"Some that are: {', '.join(sorted(known)[:3])}"
    raise CheckpointError(f"backbone {name!r} is not a torchvision classifier. {hint}.")
