"""Input and output names of every exported model, and its facts as metadata."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

INPUT, OUTPUT = "pixels", "probabilities"


def as_text(facts: Mapping[str, Any]) -> dict[str, str]:
    """Convert values for metadata that can hold only text."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in facts.items()
    }
