"""Serves thumbnails: by the number of a row, never by a name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from markupsafe import escape
from starlette.responses import Response

from shards.errors import BadImage
from vocscore.reporting.texts import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from vocscore.view.session import Subject

SIDES: Final = (96, 192, 384, 1280)
"""Sides of thumbnails in pixels; others are not made, so that few are kept."""
GRID_SIDE: Final = 384
LARGE_SIDE: Final = 1280
_WORDS_A_LINE: Final = 26


def image_url(subject: Subject, row: int, side: int = GRID_SIDE) -> str:
    """The address of a row's thumbnail."""
    return f"/image/{subject.number}/{row}/{side}?version={subject.version}"


def add_images(app: FastAPI, subjects: Callable[[], tuple[Subject, ...]]) -> None:
    """Add the route of the thumbnails.

    Args:
        app: to add it to.
        subjects: gives what is shown.
    """

    @app.get("/image/{number}/{row}/{side}")
    async def image(number: int, row: int, side: int) -> Response:
        shown = subjects()
        if not 0 <= number < len(shown) or side not in SIDES:
            return Response(status_code=404)
        subject = shown[number]
        if not 0 <= row < subject.table.rows:
            return Response(status_code=404)
        try:
            made = await asyncio.wrap_future(subject.thumbnails.submit(row, side))
        except BadImage as error:
            return Response(tile(str(error.fault)), media_type="image/svg+xml", headers=_FRESH)
        return Response(made, media_type="image/jpeg", headers=_KEPT)


_KEPT: Final = {"cache-control": "private, max-age=3600"}
_FRESH: Final = {"cache-control": "no-store"}


def tile(reason: str) -> str:
    """A drawing that says why there is no image.

    Args:
        reason: any text.

    Returns:
        SVG.
    """
    words, lines = visible(reason).split(" "), [""]
    for word in words:
        if len(lines[-1]) + len(word) > _WORDS_A_LINE and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word[:_WORDS_A_LINE]}".strip()
    del lines[7:]
    top = 100 - 9 * (len(lines) - 1)
    texts = "".join(
        f'<text x="100" y="{top + 18 * at}">{escape(line)}</text>' for at, line in enumerate(lines)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 200" width="200" height="200">'
        '<rect width="200" height="200" fill="#80808022"/>'
        '<g font-family="sans-serif" font-size="12" fill="#888" text-anchor="middle">'
        f"{texts}</g></svg>"
    )
