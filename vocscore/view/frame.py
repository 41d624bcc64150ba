"""What every screen has around it: the bar with links, and where the screen is built."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from markupsafe import Markup
from nicegui import ui

from shards.errors import Error
from vocscore.reporting.texts import counted, html, visible
from vocscore.view import screens

if TYPE_CHECKING:
    from vocscore.view.session import Session

_SECONDS_BETWEEN_LOOKS = 2.0
_MODES = {None: ("brightness_auto", True), True: ("dark_mode", False), False: ("light_mode", None)}
"""Dark mode -> its icon, and the mode that follows on a click."""


def build_frame(session: Session) -> None:
    """Build a tab."""
    links = screens.links(session)
    ui.colors(primary="#2f6fdb")
    with ui.header(), ui.element("div").classes("bar"):
        name = " / ".join(visible(subject.table.name) for subject in session.subjects)
        ui.label(name).classes("name").tooltip(visible(str(session.table.source)))
        nav = ui.html("", sanitize=False, tag="nav").props('aria-label="Screens"')
        ui.element("div").classes("space")
        status = ui.label().classes("soft").props('role="status"')
        more = ui.button("show new rows").props("flat dense no-caps padding='0 8px'")
        more.set_visibility(False)
        _dark_button(session)

    def here(path: str) -> None:
        at = "/" + path.partition("?")[0].strip("/").split("/")[0]
        marked = [_link(href, text, here=href == at) for href, text in links]
        nav.set_content(Markup("").join(marked))

    router = ui.context.client.sub_pages_router
    router.on_path_changed(here)
    here(router.current_path)
    _follow(session, status, more)
    ui.sub_pages(screens.routes(session)).style("width: 100%")


def _link(href: str, text: str, *, here: bool) -> Markup:
    mark = Markup(' class="here" aria-current="page"') if here else ""
    return html('<a href="{href}"{mark}>{text}</a>', href=href, mark=mark, text=text)


def _dark_button(session: Session) -> None:
    """A button for light, dark, and what the system has."""
    dark = ui.dark_mode(session.kept.get("dark"))

    def turn() -> None:
        dark.value = _MODES[dark.value][1]
        session.kept["dark"] = dark.value
        button.props(f"icon={_MODES[dark.value][0]}")

    button = ui.button(on_click=turn).props(
        f'flat round dense icon={_MODES[dark.value][0]} aria-label="Light, dark or automatic"'
    )


def _follow(session: Session, status: ui.label, more: ui.button) -> None:
    """Follow a run that is still being written.

    The overview is built again as rows come. Other screens are not, since somebody works with them:
    a button does it, and the end of the run, because rows have the order of the output then.
    """
    running = [subject for subject in session.subjects if not subject.table.complete]
    if not running:
        return
    shown = [subject.version for subject in running]

    async def rebuild() -> None:
        shown[:] = [subject.version for subject in running]
        more.set_visibility(False)
        await ui.context.client.sub_pages_router.refresh()

    async def look() -> None:
        try:
            for subject in running:
                await asyncio.to_thread(subject.refresh)
        except (Error, OSError) as error:
            timer.cancel()
            status.set_text(visible(f"cannot be followed: {error}"))
            return
        waiting = [subject for subject in running if not subject.table.complete]
        rows = counted(sum(subject.table.rows for subject in running), "row")
        status.set_text(f"{rows} so far" if waiting else f"{rows}, complete")
        if not waiting:
            timer.cancel()
        if shown != [subject.version for subject in running]:
            at_overview = ui.context.client.sub_pages_router.current_path.partition("?")[0] == "/"
            if at_overview or not waiting:
                await rebuild()
            else:
                more.set_visibility(True)

    more.on_click(rebuild)
    timer = ui.timer(_SECONDS_BETWEEN_LOOKS, look)
