"""Reads a report as a browser would, without the project's code."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

_VOID = ("meta", "img")
_DRAWN = ("rect", "circle", "polyline")
_HEADINGS = ("h1", "h2", "h3", "h4")


class ReadReport(HTMLParser):
    """The text and the elements of a report; every element must be closed where it was opened.

    Attributes:
        elements: name and attributes of each.
        tables: rows of cells, as text.
        cards: name -> value, and the line below or ''.
        strips: (h3, h4) -> texts below the images there.
        headings: all of them.
        notes: the sentences of the list.
        text: all of it.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.cards: dict[str, tuple[str, str]] = {}
        self.strips: dict[tuple[str, str], list[str]] = {}
        self.headings: list[str] = []
        self.notes: list[str] = []
        self.text = ""
        self._card: list[str] = []
        self._open: list[tuple[str, str | None]] = []
        self._last = dict.fromkeys(_HEADINGS, "")
        self.feed(file.read_bytes().decode("utf-8", "strict"))
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.elements.append((tag, found))
        if tag not in _VOID:
            self._open.append((tag, found.get("class")))
        if tag == "h2":
            self._last = dict.fromkeys(_HEADINGS, "")
        if tag in _HEADINGS:
            self._last[tag] = ""
            self.headings.append("")
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "figcaption":
            self.strips.setdefault((self._last["h3"], self._last["h4"]), []).append("")
        elif tag == "li":
            self.notes.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _DRAWN, tag
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        name, kind = self._open.pop()
        assert name == tag, f"<{name}> is closed by </{tag}>"
        if tag == "div" and self._open[-1] == ("div", "cards"):
            value, named, more = (*self._card, "")[:3]
            self.cards[named] = value, more
            self._card = []
        assert kind != "cards" or not self._card

    def handle_data(self, data: str) -> None:
        inside = [name for name, _ in self._open]
        if not inside or "style" in inside:
            return
        self.text += data
        if ("div", "cards") in self._open and data.strip():
            self._card.append(data)
        if inside[-1] in _HEADINGS or inside[-2:] == ["h4", "b"]:
            self.headings[-1] += data
            self._last["h4" if "h4" in inside else inside[-1]] += data
        elif {"td", "th"} & set(inside):
            self.tables[-1][-1][-1] += data
        elif "figcaption" in inside:
            self.strips[self._last["h3"], self._last["h4"]][-1] += data
        elif inside[-1] == "li":
            self.notes[-1] += data

    @property
    def images(self) -> list[Image.Image]:
        """The thumbnails."""
        found = []
        for tag, attributes in self.elements:
            if tag == "img":
                kind, _, data = str(attributes["src"]).partition(",")
                assert kind == "data:image/jpeg;base64"
                found.append(Image.open(io.BytesIO(base64.b64decode(data))))
        return found

    def table(self, *first: str) -> list[dict[str, str]]:
        """Rows of the table whose first columns have these names."""
        (rows,) = [rows for rows in self.tables if tuple(rows[0][: len(first)]) == first]
        return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
