"""The application: NiceGUI's page around the screens, and the route of the images.

The only importer of NiceGUI besides the screens.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from nicegui import app, ui

from vocscore.view.frame import build_frame
from vocscore.view.images import add_images
from vocscore.view.session import Session

if TYPE_CHECKING:
    from vocscore.view.session import Subject

_shown: list[tuple[Subject, ...]] = []
"""What the page shows: NiceGUI's application is one per process."""
_made: list[FastAPI] = []
_CSS: Final = Path(__file__).with_name("style.css").read_text("utf-8")


def application(subjects: tuple[Subject, ...]) -> FastAPI:
    """Return the ASGI application that shows some predictions."""
    _shown[:] = [subjects]
    if not _made:
        _made.append(_make())
    return _made[0]


def _make() -> FastAPI:
    logging.getLogger("nicegui").setLevel(logging.ERROR)
    parent = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_images(parent, lambda: _shown[0])
    ui.run_with(
        parent,
        root=_root,
        title="vocscore",
        dark=None,
        tailwind=False,
        reconnect_timeout=20,
        show_welcome_message=False,
    )
    return parent


async def _root() -> None:
    """Build a tab, as soon as it is connected: what it had set before a reload is known then."""
    ui.add_css(_CSS)
    await ui.context.client.connected()
    build_frame(Session(_shown[0], app.storage.tab))
