"""The screens: one module each, with a function that builds it in a tab.

NiceGUI reads the annotations of the functions in `routes`, so they must not be strings.
"""

from typing import TYPE_CHECKING, Any

from nicegui import PageArguments

from vocscore.view.screens.bad_inputs import build_bad_inputs
from vocscore.view.screens.class_screen import build_class
from vocscore.view.screens.classes_screen import build_classes
from vocscore.view.screens.gallery import build_gallery
from vocscore.view.screens.image_screen import build_image
from vocscore.view.screens.overview import build_overview
from vocscore.view.screens.suspects import build_suspects
from vocscore.view.screens.two_runs import build_two_runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from vocscore.view.session import Session


def links(session: "Session") -> list[tuple[str, str]]:
    """The addresses and names of the screens that these predictions have."""
    found = [("/", "Overview"), ("/gallery", "Gallery"), ("/class", "Classes")]
    if len(session.subjects) > 1:
        found.append(("/two-runs", "Two runs"))
    if session.labels is not None:
        found.append(("/suspects", "Suspects"))
    if len(session.table.reasons) > 1:
        found.append(("/bad-inputs", "Bad inputs"))
    return found


def routes(session: "Session") -> "dict[str, Callable[..., Any]]":
    """Paths, and what builds them. Parameters come from the address."""

    def overview() -> Any:
        return build_overview(session)

    def gallery(query: PageArguments) -> Any:
        return build_gallery(session, query.query_parameters)

    def classes() -> Any:
        return build_classes(session)

    def one_class(c: str) -> Any:
        return build_class(session, c)

    def image(number: str, row: str, query: PageArguments) -> Any:
        return build_image(session, number, row, query.query_parameters)

    def suspects() -> Any:
        return build_suspects(session)

    def two_runs() -> Any:
        return build_two_runs(session)

    def bad_inputs() -> Any:
        return build_bad_inputs(session)

    return {
        "/": overview,
        "/gallery": gallery,
        "/class": classes,
        "/class/{c}": one_class,
        "/show/{number}/{row}": image,
        "/two-runs": two_runs,
        "/suspects": suspects,
        "/bad-inputs": bad_inputs,
    }
