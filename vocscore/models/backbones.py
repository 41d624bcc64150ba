"""Reads the names of torchvision's and timm's models without importing either, which is slow."""

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
_TIMM_REGISTERED = re.compile(r"^@register_model\ndef (\w+)\(", re.MULTILINE)
_TIMM_PROOF = frozenset({"resnet18", "tf_efficientnet_lite0", "vit_tiny_patch16_224"})
TIMM = "timm/"
"""Begins the name of a backbone that is a model of timm."""


@cache
def names_in_source() -> frozenset[str]:
    """Return the classifiers of the installed torchvision; empty if it cannot be read."""
    names = _registered("torchvision", _REGISTERED)
    return names if names >= _PROOF else frozenset()


@cache
def timm_names_in_source() -> frozenset[str]:
    """Return the models of the installed timm; empty if it cannot be read."""
    names = _registered("timm", _TIMM_REGISTERED)
    return names if names >= _TIMM_PROOF else frozenset()


def _registered(package: str, pattern: re.Pattern[str]) -> frozenset[str]:
    """Return the names that a package's folder of models registers."""
    spec = find_spec(package)
    folders = [] if spec is None else spec.submodule_search_locations or []
    files = [file for folder in folders for file in Path(folder, "models").glob("*.py")]
    return frozenset(
        name
        for file in files
        for name in pattern.findall(file.read_text(encoding="utf-8", errors="replace"))
    )


def is_timm(backbone: str) -> bool:
    """Whether a backbone is a model of timm, by its name."""
    return backbone.startswith(TIMM)


def timm_name(backbone: str) -> str:
    """Return timm's own name of a backbone: NAME, or NAME.TAG of pretrained weights."""
    return backbone.removeprefix(TIMM)


def check_backbone(name: str) -> None:
    """Refuse a backbone that does not exist, if this is known without importing its library.

    Raises:
        CheckpointError: there is no such backbone, and the message suggests similar names; or it
            needs timm, which is not installed.
    """
    if is_timm(name):
        refuse_missing_timm(name)
        if timm_names_in_source():
            refuse_unknown_timm(name, timm_names_in_source())
        return
    known = names_in_source()
    if known:
        refuse_unknown(name, known)


def refuse_missing_timm(backbone: str) -> None:
    """Refuse a backbone of timm if timm is not installed.

    Raises:
        CheckpointError: it is not installed.
    """
    if find_spec("timm") is None:
        raise CheckpointError(
            f"backbone {backbone!r} needs timm, which is not installed. "
            "pip install 'vocscore[timm]'"
        )


def refuse_unknown_timm(backbone: str, known: Collection[str]) -> None:
    """Refuse an unknown model of timm.

    Args:
        backbone: its name; the tag of its weights is not compared.
        known: names of models, without tags.

    Raises:
        CheckpointError: it is unknown; the message suggests similar names.
    """
    name = timm_name(backbone).partition(".")[0]
    if name in known:
        return
    near = difflib.get_close_matches(name.lower(), sorted(known), n=3, cutoff=0.5)
    words = "Similar" if near else "Some that are"
    hint = ", ".join(f"{TIMM}{one}" for one in near or sorted(_TIMM_PROOF))
    raise CheckpointError(f"backbone {backbone!r} is not a model of timm. {words}: {hint}.")


def refuse_unknown(name: str, known: Collection[str]) -> None:
    """Refuse an unknown backbone.

    Raises:
        CheckpointError: it is unknown; the message suggests similar names.
    """
    if name in known:
        return
    near = ", ".join(difflib.get_close_matches(name.lower(), sorted(known), n=3, cutoff=0.5))
    hint = f"Similar: {near}" if near else f"Some that are: {', '.join(sorted(known)[:3])}"
    if name.partition(".")[0] in timm_names_in_source():
        hint = f"timm has it: `backbone={TIMM + name!r}`"
    raise CheckpointError(f"backbone {name!r} is not a torchvision classifier. {hint}.")
