"""What is stored about a part in addition to its rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class UnitRecord:
    """What is stored about a part in addition to its rows.

    Attributes:
        rows: number of rows.
        errors: reason -> rows with that error.
        problems: damage that does not concern a single image, one line each.
        skipped: kind -> members of a tar that are not inputs.
    """

    rows: int
    errors: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain values; without `skipped` if it is empty, as in marks of older versions."""
        value = asdict(self)
        return value if self.skipped else {k: v for k, v in value.items() if k != "skipped"}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> UnitRecord:
        """The inverse of `to_json`; other keys are ignored.

        Raises:
            KeyError, TypeError: it is not a record.
        """
        problems = tuple(kept["problems"])
        return cls(kept["rows"], kept["errors"], problems, kept.get("skipped", {}))
