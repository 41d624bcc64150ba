"""The state of a gallery as an address, so that a link, a reload and 'back' show the same."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from vocscore.columns.query import KINDS, SORTS, Query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vocscore.columns.table import Table

PAGE_SIZE: Final = 60


@dataclass(frozen=True)
class View:
    """What a gallery shows.

    Attributes:
        query: which rows, in which order.
        page: from 0.
    """

    query: Query = field(default_factory=Query)
    page: int = 0

    @classmethod
    def from_address(cls, given: Mapping[str, str], table: Table) -> View:
        """Read an address; what makes no sense is left out."""
        names = list(table.classes)
        name, kind, sort = given.get("class"), given.get("kind", ""), given.get("sort", "")
        query = Query(
            class_index=names.index(name) if name in names else None,
            kind=kind if kind in KINDS else "all",
            low=_number(given.get("low"), 0.0),
            high=_number(given.get("high"), 1.0),
            reason=given.get("reason"),
            text=given.get("text", ""),
            sort=sort if sort in SORTS else "path",
            descending=given.get("order") == "descending",
            held_out=given.get("held_out") == "1",
        )
        page = given.get("page", "")
        return cls(query, max(0, int(page) - 1) if page.isascii() and page.isdigit() else 0)

    def parameters(self, table: Table) -> dict[str, str]:
        """What differs from the defaults, by its name in the address."""
        query = self.query
        found = {
            "class": "" if query.class_index is None else table.classes[query.class_index],
            "kind": "" if query.kind == "all" else query.kind,
            "low": f"{query.low:g}" if query.low > 0 else "",
            "high": f"{query.high:g}" if query.high < 1 else "",
            "reason": query.reason or "",
            "text": query.text,
            "sort": "" if query.sort == "path" else query.sort,
            "order": "descending" if query.descending else "",
            "held_out": "1" if query.held_out else "",
            "page": str(self.page + 1) if self.page else "",
        }
        return {name: value for name, value in found.items() if value}

    def address(self, table: Table, path: str = "/gallery", **more: str) -> str:
        """An address on this page."""
        told = urlencode({**self.parameters(table), **more}, errors="surrogateescape")
        return f"{path}?{told}" if told else path

    def with_query(self, query: Query) -> View:
        """Other rows, from their first page."""
        return replace(self, query=query, page=0)


def gallery_of(table: Table, query: Query) -> str:
    """The address of a gallery."""
    return View(query).address(table)


def _number(text: str | None, default: float) -> float:
    try:
        value = float(text) if text else default
    except ValueError:
        return default
    return value if 0 <= value <= 1 else default
