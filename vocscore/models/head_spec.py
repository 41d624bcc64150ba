"""The head of a checkpoint as its card describes it. Reading it imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

CSRA: Final = "csra"
CHAIN: Final = "chain"
OWN: Final = "own"
"""The last layers of an imported classifier: `vocscore.models.own_head`."""
MAXIMUM: Final = 99.0
"""The temperature from which attention is the maximum over places, as in the paper."""


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """A head that is not a linear layer.

    Attributes:
        kind: 'csra' (class-specific residual attention), 'chain' (label refinement) or 'own'.
        residual: CSRA's lambda, the weight of attention beside the mean; at least 0.
        temperature: of CSRA's softmax over places, above 0; `MAXIMUM` and above: the maximum.
    """

    kind: str
    residual: float = 0.0
    temperature: float = MAXIMUM

    def __post_init__(self) -> None:
        """Refuse invalid values.

        Raises:
            ValueError: an unknown kind, or a number out of its range.
        """
        if self.kind not in (CSRA, CHAIN, OWN):
            raise ValueError(f"head is {self.kind!r}, but must be {CSRA} or {CHAIN}")
        for name, value, least in (
            ("lambda", self.residual, 0.0),
            ("temperature", self.temperature, math.ulp(0.0)),
        ):
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not least <= value < math.inf:
                raise ValueError(f"{name} of the head is {value!r}")

    @property
    def on_maps(self) -> bool:
        """Whether its input is the backbone's last map, (N, F, h, w), and not features (N, F)."""
        return self.kind == CSRA

    def to_json(self) -> dict[str, Any]:
        """Return plain values for the card."""
        if self.kind != CSRA:
            return {"kind": self.kind}
        return {"kind": CSRA, "lambda": self.residual, "temperature": self.temperature}


def parse_head(value: Mapping[str, Any]) -> HeadSpec | None:
    """Return the head that a card describes; None for a linear one, which has no entry.

    Raises:
        TypeError, ValueError: not a head that this version knows.
    """
    if not value:
        return None
    if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
        raise TypeError(f"head must be an object with a kind, got {value!r}")
    if value["kind"] == CSRA and not {"lambda", "temperature"} <= value.keys():
        raise ValueError(f"head {CSRA} needs lambda and temperature, got {sorted(value)}")
    if not isinstance(value.get("arguments", {}), Mapping):
        raise TypeError(f"arguments of the head must be an object, got {value['arguments']!r}")
    return HeadSpec(
        value["kind"],
        residual=value.get("lambda", 0.0),
        temperature=value.get("temperature", MAXIMUM),
    )
