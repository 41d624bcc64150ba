"""Describes how two plans differ."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from vocscore.records.keys import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SHA256 = re.compile(r"[0-9a-f]{64}")


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """List the settings in which two plans differ, with both values."""
    old, new = dict(_flat(there)), dict(_flat(here))
    return [
        f"the {key} ({_short(old.get(key))} there, {_short(new.get(key))} now)"
        for key in [*new, *(old.keys() - new.keys())]
        if old.get(key) != new.get(key)
    ]


def _flat(plan: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in plan.items():
        name = before + shown(key).replace("_", " ")
        if isinstance(value, dict):
            yield from _flat(value, f"{name} ")
        else:
            yield name, value


def _short(value: object) -> str:
    return str(value)[:12] if _SHA256.fullmatch(str(value)) else str(value)
