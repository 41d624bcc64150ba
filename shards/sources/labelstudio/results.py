"""Finds the labels in the results of annotations, and in the fields of JSON-MIN.

Source of the format: https://labelstud.io/guide/task_format and
https://labelstud.io/guide/export.html (JSON and JSON-MIN).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from shards.errors import SourceError
from shards.paths import first_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

CHOICES: Final = "choices"
TAXONOMY: Final = "taxonomy"
_GEOMETRY: Final = frozenset({"x", "points", "vertices", "rle"})
"""A choice with one of these is about a region, not about the image."""
_META: Final = frozenset(
    {"id", "task", "project", "annotator", "annotation_id", "agreement"}
    | {"created_at", "updated_at", "lead_time"}
)
"""Fields of JSON-MIN that describe the annotation."""


class Result(NamedTuple):
    """One result: labels that a control has given.

    Attributes:
        control: name of the control in the labeling interface (`from_name`).
        kind: its type, such as 'choices' or 'rectanglelabels'.
        names: the labels; () for a control that gives none, or a region without one.
        in_region: whether it is a choice about one region.
        sure: whether it certainly is a label; not so for a bare text in JSON-MIN.
    """

    control: str
    kind: str
    names: tuple[str, ...]
    in_region: bool = False
    sure: bool = True


def is_label_kind(kind: str) -> bool:
    """Whether a type of result gives labels: choices, a taxonomy, or labeled regions."""
    return kind in (CHOICES, TAXONOMY) or kind.endswith("labels")


def results_of(entries: object, where: str) -> Iterator[Result]:
    """The results of one annotation, as JSON exports them.

    Raises:
        SourceError: it is not a list of results.
    """
    if not isinstance(entries, list):
        raise SourceError(f"{where}: no list 'result'. Export the project again as JSON.")
    for entry in entries:
        kind = entry.get("type") if isinstance(entry, dict) else None
        if not isinstance(kind, str):
            raise SourceError(f"{where}: a result has no type. Export the project again as JSON.")
        value = entry.get("value")
        control = str(entry.get("from_name") or kind)
        if not is_label_kind(kind) or not isinstance(value, dict):
            yield Result(control, kind, ())
            continue
        in_region = kind == CHOICES and bool(_GEOMETRY & value.keys())
        yield Result(control, kind, _names(value.get(kind), kind, where), in_region)


def fields_of(record: Mapping[str, Any], image: str, where: str) -> Iterator[Result]:
    """The labels of one record of JSON-MIN, whose fields are named after the controls.

    Args:
        record: the record.
        image: the field of the image.
        where: its location, for messages.

    Raises:
        SourceError: labels that are not text.
    """
    for field, value in record.items():
        if field == image or field in _META or value is None:
            continue
        if isinstance(value, str):
            yield Result(field, "text", (value.strip(),) if value.strip() else (), sure=False)
            continue
        found = False
        for one in value if isinstance(value, list) else [value]:
            kinds = [key for key in one if is_label_kind(key)] if isinstance(one, dict) else []
            for kind in kinds:
                found = True
                in_region = kind == CHOICES and bool(_GEOMETRY & one.keys())
                yield Result(field, kind, _names(one[kind], kind, where), in_region)
        if not found:
            yield Result(field, "other values", ())


def _names(value: object, kind: str, where: str) -> tuple[str, ...]:
    """The labels of one result; of a taxonomy, the last level of each."""
    if value is None:
        return ()
    labels = value if isinstance(value, list) else [value]
    if kind == TAXONOMY:
        labels = [one[-1] if isinstance(one, list) and one else one for one in labels]
    texts = tuple(one.strip() for one in labels if isinstance(one, str) and one.strip())
    if len(texts) < len(labels):
        raise SourceError(f"{where}: {kind}: a label is not text. Correct it.")
    return texts


class Controls:
    """Decides which controls give the labels of a set.

    Args:
        results: all results of the set.
        chosen: the controls that the user names; () takes all that give labels.
        file: the export, for messages.

    Raises:
        SourceError: a named control does not occur; the labels are among several texts.
    """

    def __init__(self, results: Sequence[Result], chosen: Collection[str], file: object) -> None:
        self._chosen = frozenset(chosen)
        there = {one.control for one in results}
        if absent := sorted(self._chosen - there):
            raise SourceError(
                f"{file}: no results of {first_names(absent)}; there are those of "
                f"{first_names(sorted(there)) or 'none'}. Correct `label_column`."
            )
        sure = [one for one in results if one.sure and is_label_kind(one.kind)]
        self._regions = any(one.kind not in (CHOICES, TAXONOMY) for one in sure)
        self._texts = self._text_controls(results, sure, file)

    def _text_controls(
        self, results: Sequence[Result], sure: Sequence[Result], file: object
    ) -> set[str]:
        """The controls whose bare texts are labels: single choices in JSON-MIN."""
        texts = {one.control for one in results if not one.sure}
        known = texts & {one.control for one in sure}  # with several choices elsewhere
        if sure or self._chosen:
            return known
        if len(texts) < 2:
            return texts
        raise SourceError(
            f"{file}: labels may be in {first_names(sorted(texts))}. Name the field with "
            "`label_column`, or export as JSON, which says which are labels."
        )

    def takes(self, one: Result) -> bool:
        """Whether the labels of a result are labels of its image."""
        if self._chosen:
            return one.control in self._chosen
        if not one.sure:
            return one.control in self._texts
        return is_label_kind(one.kind) and not (one.in_region and self._regions)

    def notes(self, results: Sequence[Result]) -> Iterator[str]:
        """Lines on which controls give labels, which do not, and on regions without a label."""
        taken = sorted({one.control for one in results if self.takes(one)})
        left = Counter((one.control, one.kind) for one in results if not self.takes(one))
        if len(taken) > 1:
            yield f"labels are those of {first_names(taken, most=20)}"
        if left:
            told = [f"{control} ({kind}, {n})" for (control, kind), n in sorted(left.items())]
            yield f"ignored results: {first_names(told, most=20)}"
        if bare := sum(self.takes(one) and not one.names for one in results):
            yield f"{bare} regions or choices without a label: ignored"
