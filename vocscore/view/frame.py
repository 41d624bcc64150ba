"""What every screen has around it: the bar with links, and where the screen is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup
from nicegui import ui

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
        status = ui.label().classes("soft")
        _dark_button(session)

    def here(path: str) -> None:
        at = "/" + path.partition("?")[0].strip("/").split("/")[0]
        marked = [_link(href, text, here=href == at) for href, text in links]
        nav.set_content(Markup("").join(marked))

    router = ui.context.client.sub_pages_router
    router.on_path_changed(here)
    here(router.current_path)
    _follow(session, status)
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


def _follow(session: Session, status: ui.label) -> None:
    """Follow a run that is still being written."""
    running = [subject for subject in session.subjects if not subject.table.complete]
    if not running:
        return

    async def look() -> None:
        changed = [subject.refresh() for subject in running]
        waiting = [subject for subject in running if not subject.table.complete]
        rows = counted(sum(subject.table.rows for subject in running), "row")
        status.set_text(f"{rows} so far" if waiting else f"{rows}, complete")
        if any(changed):
            await ui.context.client.sub_pages_router.refresh()
        if not waiting:
            timer.cancel()

    timer = ui.timer(_SECONDS_BETWEEN_LOOKS, look)
