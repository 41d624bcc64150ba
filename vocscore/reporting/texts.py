"""Texts of the report and of the page. Names come from files, so they may contain anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray


def visible(name: str) -> str:
    r"""A name as text that can be sent and seen: '\n' for a line end, '\xe9' for other bytes."""
    text = name.encode("utf-8", "surrogateescape" if _bytes_only(name) else "surrogatepass")
    readable = text.decode("utf-8", "backslashreplace")
    if readable.isprintable():
        return readable
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in readable)


def _bytes_only(name: str) -> bool:
    return not any("\ud800" <= c < "\udc80" or "\udcff" < c <= "\udfff" for c in name)


def number(value: float) -> str:
    """A count with separators."""
    return f"{int(value):,}"


def share(value: float | None) -> str:
    """A figure from 0 to 1 with three digits; '-' for None or nan."""
    return "-" if value is None or value != value else f"{value:.3f}"  # noqa: PLR0124 - nan


def counted(count: int, noun: str) -> str:
    """'1 image', '2 images'."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def chips(
    classes: Iterable[str],
    probabilities: NDArray[np.float32],
    predicted: NDArray[np.bool_],
    truth: NDArray[np.int8] | None,
    *,
    most: int = 4,
) -> Markup:
    """The labels of an image: right, wrong, missed, or without truth.

    Args:
        classes: in column order.
        probabilities: float32 (C,).
        predicted: bool (C,).
        truth: int8 (C,); None without labels.
        most: how many are shown; the others are counted.
    """
    shown: list[tuple[int, float, str, str]] = []
    for c, name in enumerate(classes):
        label = -2 if truth is None else int(truth[c])
        kind = _kind(bool(predicted[c]), label)
        if kind:
            shown.append((_ORDER.index(kind), -float(probabilities[c]), kind, name))
    shown.sort()
    found = Markup("").join(
        Markup('<span class="chip {}" title="{}">{} {}</span>').format(
            kind, f"{visible(name)}: {_MEANING[kind]}", visible(name), short(-minus)
        )
        for _, minus, kind, name in shown[:most]
    )
    if len(shown) > most:
        found += Markup('<span class="chip more">+{}</span>').format(len(shown) - most)
    return found


_ORDER = ("fp", "fn", "tp", "ignored", "guess")
_MEANING = {
    "tp": "predicted and labeled",
    "fp": "predicted, not labeled",
    "fn": "labeled, not predicted",
    "ignored": "predicted; labeled as difficult, so not counted",
    "guess": "predicted",
}


def _kind(predicted: bool, label: int) -> str:
    if predicted:
        return {1: "tp", 0: "fp", -1: "ignored"}.get(label, "guess")
    return "fn" if label == 1 else ""


def short(probability: float) -> str:
    """A probability with two digits; '' for nan."""
    return "" if probability != probability else f"{probability:.2f}"  # noqa: PLR0124 - nan


def html(template: str, **values: Any) -> Markup:
    """Fill a template; every value is escaped."""
    return Markup(template).format(**values)  # noqa: S704 - templates are constants
