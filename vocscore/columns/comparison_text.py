"""A comparison as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shards.paths import first_names
from vocscore.columns.comparison import class_figures, figures
from vocscore.text_width import pad, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vocscore.columns.comparison import Comparison, JudgedChanges
    from vocscore.evaluation.run_comparison import RunComparison

_NAME: Final = 24
_SHOWN: Final = {
    "mean_average_precision": "mAP",
    "samples": "images",
    "micro": "decisions",
    "macro": "classes",
}


_RATIOS: Final = {"iou": "IoU", "f1": "F1"}


def comparison_text(found: Comparison) -> str:
    """Format what changed, and what it is worth."""
    return "\n".join(_lines(found))


def _lines(found: Comparison) -> Iterator[str]:
    yield f"images compared: {len(found.rows)}"
    for number, words in (
        (found.only_first, "only in the first"),
        (found.only_second, "only in the second"),
        (found.failed[0], "an error only in the first"),
        (found.failed[1], "an error only in the second"),
        (found.failed[2], "an error in both"),
    ):
        if number:
            yield f"NOT COMPARED: {number} images, {words}"
    if found.other_classes:
        yield (
            f"NOT COMPARED: {len(found.other_classes)} classes of only one of them "
            f"({first_names(found.other_classes)})"
        )
    yield f"decisions changed: {len(found.changed)}, in {found.changed_images} images"
    yield (f"probabilities: mean difference {found.mean_moved:.4f}, largest {found.most_moved:.4f}")
    yield ""
    if found.judged is None:
        yield _row(["class", "gained", "lost"], (8, 8))
        for c, name in enumerate(found.classes):
            yield _row([name, str(found.gained[c]), str(found.lost[c])], (8, 8))
        yield ""
        yield _unjudged(found)
        return
    yield from _judged(found, found.judged)


def _unjudged(found: Comparison) -> str:
    if found.left_out:
        return (
            f"Not judged: a model was trained on each of the {found.left_out} labeled images.\n"
            "Judge by them anyway with `all_images=True`."
        )
    if found.incomplete:
        return f"Not judged: {found.incomplete} labeled images lack probabilities (`top_k`?)."
    return "No labels: name a packed set with `labels` to see which one is better."


def _judged(found: Comparison, judged: JudgedChanges) -> Iterator[str]:
    yield f"judged by {len(judged.places)} labeled images"
    if found.left_out:
        yield f"left out, because a model was trained on them: {found.left_out}"
    if found.incomplete:
        yield f"left out, because not every probability was written: {found.incomplete}"
    yield f"mistakes fixed: {judged.fixed.sum()}, new mistakes: {judged.broken.sum()}"
    yield ""
    widths: tuple[int, ...] = (7, 7, 7, 7, 8, 18)
    yield _row(["class", "fixed", "broken", "AP 1st", "AP 2nd", "change", "95% between"], widths)
    for c, name in enumerate(found.classes):
        one = class_figures(judged, c)
        yield _row(
            [
                name,
                str(one["fixed"]),
                str(one["broken"]),
                _share(one["average_precision_first"]),
                _share(one["average_precision_second"]),
                _change(one["difference"]),
                _range(one["difference_low"], one["difference_high"]),
            ],
            widths,
        )
    yield ""
    widths = (8, 8, 9, 20)
    yield _row(["", "1st", "2nd", "change", "95% between"], widths)
    for name, first, second, low, high in figures(judged):
        values = [_share(first), _share(second), _change(second - first), _range(low, high)]
        yield _row([_figure_name(name), *values], widths)


def run_comparison_text(found: RunComparison) -> str:
    """Format the differences of two runs."""
    return "\n".join(_run_lines(found))


def _run_lines(found: RunComparison) -> Iterator[str]:
    if found.settings:
        yield "settings that differ:"
        for name, (first, second) in found.settings.items():
            yield f"  {name}: {_value(first)} -> {_value(second)}"
    else:
        yield "settings: equal"
    if not found.same_images:
        yield "NOT COMPARABLE: they were validated on different images"
    yield ""
    widths = (8, 8, 9)
    yield _row(["validation split", "1st", "2nd", "change"], widths)
    for name, (first, second) in found.figures.items():
        cells = [_share(first), _share(second), _change(second - first)]
        yield _row([_figure_name(name), *cells], widths)
    yield ""
    yield _row(["class", "AP 1st", "AP 2nd", "change"], widths)
    for name, (first, second) in found.classes.items():
        yield _row([name, _share(first), _share(second), _change(second - first)], widths)
    yield ""
    yield (
        "Runs keep figures, not predictions, so there are no intervals. For intervals,\n"
        "score the same images with both and compare the predictions."
    )


def _value(value: object) -> str:
    return shorten(" ".join(str(value).split()), 28)


def _figure_name(name: str) -> str:
    average, _, ratio = name.partition("_")
    if name in _SHOWN:
        return _SHOWN[name]
    word = _RATIOS.get(ratio, ratio)
    return f"{word}, over {_SHOWN[average]}" if average in _SHOWN else name


def _row(cells: list[str], widths: tuple[int, ...]) -> str:
    texts = (cell.rjust(width) for cell, width in zip(cells[1:], widths, strict=True))
    name = " ".join(cells[0].split())  # line ends in names would break the table
    return (pad(shorten(name, _NAME), _NAME) + "".join(texts)).rstrip()


def _share(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"  # noqa: PLR0124 - nan


def _change(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:+.3f}"  # noqa: PLR0124 - nan


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None or low != low or high != high:  # noqa: PLR0124 - nan
        return "-"
    return f"{low:+.3f} and {high:+.3f}"
