"""What every exported model calls its input, its output and its facts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

INPUT, OUTPUT = "pixels", "probabilities"


def as_text(facts: Mapping[str, Any]) -> dict[str, str]:
    """Values for metadata that holds nothing but text."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in facts.items()
    }
