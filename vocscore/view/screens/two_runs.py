"""Two runs: which decisions changed, and what that is worth."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from markupsafe import Markup
from nicegui import ui

from vocscore.columns.compare import compare_datasets
from vocscore.columns.comparison import class_figures, figures
from vocscore.columns.figures import RESAMPLED
from vocscore.config.evaluating import BootstrapConfig
from vocscore.errors import EvalError
from vocscore.reporting.texts import counted, html, number, share, short, visible
from vocscore.view.images import image_url

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vocscore.columns.comparison import Comparison, JudgedChanges
    from vocscore.view.session import Session

_RUNS: Final = 2
_PAGE: Final = 48
_KINDS: Final = {
    "all": "every changed decision",
    "broken": "new mistakes",
    "fixed": "mistakes fixed",
    "gained": "only in the second",
    "lost": "only in the first",
}
_TILE: Final = (
    '<a class="tile" href="/show/0/{row}" title="{path}"><img loading="lazy" src="{image}" '
    'alt="{path}"><div class="about"><div class="chips"><span class="chip {kind}">{name} {first} '
    '→ {second}</span></div><div class="path">{path}</div></div></a>'
)


async def build_two_runs(session: Session) -> None:
    """Build the screen."""
    if len(session.subjects) < _RUNS:
        with ui.element("div").classes("screen"):
            ui.label("There is one run here: vocscore view A.csv B.csv compares two.").classes(
                "note"
            )
        return
    with ui.element("div").classes("screen"):
        busy = ui.label("comparing").classes("soft")
        body = ui.element("div").style("display: contents")
    first, second = (subject.dataset for subject in session.subjects[:2])
    labeled = 0 if first.labels is None else int(first.labels.has.sum())
    resamples = BootstrapConfig.resamples if labeled <= RESAMPLED else 0
    try:
        found = await asyncio.to_thread(
            compare_datasets, first, second, resamples=resamples, seed=BootstrapConfig.seed
        )
    except EvalError as error:
        busy.set_text(visible(str(error)))
        return
    busy.delete()
    with body:
        _summary(session, found)
        with ui.element("div").classes("panel"):
            ui.html(_table(found), sanitize=False).style("overflow-x: auto")
        _Changes(session, found).build()


def _summary(session: Session, found: Comparison) -> None:
    names = [visible(subject.table.name) for subject in session.subjects[:2]]
    with ui.element("div").classes("panel"):
        ui.html(html("<h2>{a} → {b}</h2>", a=names[0], b=names[1]), sanitize=False).style(
            "margin-bottom: 10px"
        )
        cards = [
            ("images compared", number(len(found.rows)), _not_compared(found)),
            (
                "decisions changed",
                number(len(found.changed)),
                f"in {counted(found.changed_images, 'image')}",
            ),
            ("mean difference of probability", f"{found.mean_moved:.4f}", ""),
        ]
        if found.judged is not None:
            cards += _judged_cards(found.judged)
        ui.html(
            Markup("").join(
                html(
                    '<div class="figure"><b>{value}</b><span>{name}</span><i>{more}</i></div>',
                    name=name,
                    value=value,
                    more=more,
                )
                for name, value, more in cards
            ),
            sanitize=False,
        ).classes("figures")
    if found.left_out:
        left = counted(found.left_out, "image")
        ui.label(f"Figures leave out {left} that one of the models was trained on.").classes("note")


def _not_compared(found: Comparison) -> str:
    parts = [
        (found.only_first, "only in the first"),
        (found.only_second, "only in the second"),
        (sum(found.failed), "with an error"),
    ]
    return ", ".join(f"{n:,} {words}" for n, words in parts if n)


def _judged_cards(judged: JudgedChanges) -> list[tuple[str, str, str]]:
    cards = [
        ("mistakes fixed", number(judged.fixed.sum()), ""),
        ("new mistakes", number(judged.broken.sum()), ""),
    ]
    shown = {"mean_average_precision": "mAP", "micro_f1": "F1, all decisions"}
    for name, one, two, low, high in figures(judged):
        if name in shown:
            between = "" if low != low else f"95% between {low:+.3f} and {high:+.3f}"  # noqa: PLR0124
            more = f"{share(one)} → {share(two)}. {between}"
            cards.append((f"{shown[name]}, change", f"{two - one:+.3f}", more))
    return cards


def _table(found: Comparison) -> Markup:
    judged = found.judged
    columns = ["only in the first", "only in the second"]
    if judged is not None:
        columns += ["fixed", "new mistakes", "AP first", "AP second", "change", "95% between"]
    rows = []
    for c, name in enumerate(found.classes):
        cells = [number(found.lost[c]), number(found.gained[c])]
        if judged is not None:
            one = class_figures(judged, c)
            low, high, change = (
                one[key] for key in ("difference_low", "difference_high", "difference")
            )
            cells += [
                number(one["fixed"]),
                number(one["broken"]),
                share(one["average_precision_first"]),
                share(one["average_precision_second"]),
                "-" if change is None else f"{change:+.3f}",
                "-" if low is None else f"{low:+.3f} and {high:+.3f}",
            ]
        rows.append(
            html(
                "<tr><td>{name}</td>{cells}</tr>",
                name=visible(name),
                cells=Markup("").join(html('<td class="n">{v}</td>', v=v) for v in cells),
            )
        )
    head = Markup("").join(html('<th class="n">{name}</th>', name=name) for name in columns)
    return html(
        '<table class="plain"><tr><th>class</th>{head}</tr>{rows}</table>',
        head=head,
        rows=Markup("").join(rows),
    )


class _Changes:
    """The images of changed decisions."""

    def __init__(self, session: Session, found: Comparison) -> None:
        self._session = session
        self._found = found
        self._kind = "all" if found.judged is None else "broken"

    def build(self) -> None:
        kinds = {
            kind: text
            for kind, text in _KINDS.items()
            if self._found.judged is not None or kind not in ("broken", "fixed")
        }
        with ui.element("div").classes("filters"):
            ui.toggle(kinds, value=self._kind, on_change=self._on_kind).props(
                "no-caps dense unelevated padding='2px 10px'"
            ).style("flex-wrap: wrap")
            self._count = ui.label().classes("soft").props('role="status"')
        self._grid = ui.html("", sanitize=False).classes("grid")
        self._show()

    def _on_kind(self, event: Any) -> None:
        self._kind = event.value
        self._show()

    def _show(self) -> None:
        chosen = self._found.changed[self._of_kind()]
        self._count.set_text(counted(len(chosen), "decision"))
        shown = chosen[:_PAGE]
        self._grid.set_content(Markup("").join(self._tile(*pair) for pair in shown.tolist()))

    def _of_kind(self) -> NDArray[np.bool_]:
        """Which changed decisions are shown, bool (K,)."""
        images, classes = self._found.changed.T
        second: NDArray[np.bool_] = self._found.predicted[1][images, classes]
        if self._kind == "all":
            return np.ones(len(second), np.bool_)
        if self._kind in ("gained", "lost"):
            return second if self._kind == "gained" else ~second
        labels = _labels(self._found)[images, classes]
        right: NDArray[np.bool_] = second == (labels == 1)
        judged: NDArray[np.bool_] = labels >= 0
        return judged & (right if self._kind == "fixed" else ~right)

    def _tile(self, image: int, c: int) -> Markup:
        found, subjects = self._found, self._session.subjects
        row, there = found.rows[image].tolist()
        name = found.classes[c]
        first, second = (
            float(subject.table.row(at)[subject.table.classes.index(name)])
            for subject, at in zip(subjects, (row, there), strict=False)
        )
        label = int(_labels(found)[image, c])
        right = bool(found.predicted[1][image, c]) == (label == 1)
        return html(
            _TILE,
            row=row,
            path=visible(subjects[0].table.path(row)),
            image=image_url(subjects[0], row),
            kind="guess" if label < 0 else ("tp" if right else "fp"),
            name=visible(name),
            first=short(first),
            second=short(second),
        )


def _labels(found: Comparison) -> NDArray[np.int8]:
    """Labels of the images compared, int8 (M, C); -2 where they are not judged."""
    labels = np.full((len(found.rows), len(found.classes)), -2, np.int8)
    if found.judged is not None:
        labels[found.judged.places] = found.judged.labels
    return labels
