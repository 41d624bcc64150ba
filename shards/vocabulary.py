"""Class names of a set before packing: normalized, counted, checked for doubtful spellings.

Two spellings of one class become two columns, neither of which is learned well, and no later step
reveals it. Names that are certainly equal are unified here, with a note. Where only a person can
decide, packing stops and shows every spelling, its count, its location and the option to use.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from shards.class_names import (
    canonical,
    folded,
    has_separator,
    is_quoted,
    joined_otherwise,
    look_alikes,
    name_fault,
    several_in_one,
)
from shards.errors import LabelError
from shards.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from shards.sample import AnnotatedSet

_SHOWN: Final = 5
"""Names or groups of names shown in one message; the rest is only counted."""


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """How often each class occurs.

    Attributes:
        present: class name -> images with at least one ordinary instance.
        difficult: class name -> images with only 'difficult' instances.
        unlabeled: images without any label.
        images: all images.
    """

    present: Mapping[str, int]
    difficult: Mapping[str, int]
    unlabeled: int
    images: int

    def of(self, name: str) -> int:
        """Images with the class, ordinary or only difficult."""
        return self.present.get(name, 0) + self.difficult.get(name, 0)


def count_labels(annotated: AnnotatedSet) -> LabelCounts:
    """Count the images of each class."""
    present, difficult = Counter[str](), Counter[str]()
    for sample in annotated.samples:
        present.update(sample.present)
        difficult.update(sample.difficult)
    unlabeled = sum(not (s.present or s.difficult) for s in annotated.samples)
    return LabelCounts(present, difficult, unlabeled, len(annotated.samples))


def unify_names(
    annotated: AnnotatedSet,
    *,
    renames: Mapping[str, str] | None = None,
    merge_case: bool = False,
    given: Sequence[str] | None = None,
) -> AnnotatedSet:
    """Unify the spellings of each class name in a set.

    Names that differ only in how accents or blanks are stored are always unified. A class that is
    present under one spelling and only difficult under another is present.

    Args:
        annotated: the set.
        renames: old class name -> new name; each applied once.
        merge_case: merge names that differ only in case or letter width, into the spelling that
            is in `given`, else the first in the set's own list of classes, else the one with the
            most images.
        given: the user's vocabulary, or None.

    Returns:
        The set itself if nothing changes, else a new set with notes on the changes.

    Raises:
        LabelError: an old name in `renames` does not occur, or a new name cannot be a class.
    """
    found = sorted({*annotated.names(), *(annotated.classes or ())})
    names = {name: canonical(name) or name for name in found}
    notes = _stored_otherwise(names)
    wanted = _wanted(annotated, names, renames or {})
    names = {name: wanted.get(name, wanted.get(one, one)) for name, one in names.items()}
    if merge_case:
        names, merged = _merged(annotated, names, given or ())
        notes += merged
    if all(name == one for name, one in names.items()):
        return annotated
    return _renamed(annotated, names, notes)


def _stored_otherwise(names: Mapping[str, str]) -> list[str]:
    changed = [f"{name!a} to {one!r}" for name, one in names.items() if name != one]
    if not changed:
        return []
    return [f"class names normalized (accents, blanks): {_some(changed)}"]


def _wanted(
    annotated: AnnotatedSet, names: Mapping[str, str], renames: Mapping[str, str]
) -> dict[str, str]:
    """The renames, keyed by the names as in the set and by their normalized spelling."""
    wanted: dict[str, str] = {}
    for old, new in renames.items():
        if old not in names and canonical(old) not in names.values():
            raise LabelError(
                f"{annotated.root}: `rename=[{(old, new)!r}]`: there is no class "
                f"{old!r} (found: {_some(sorted(map(repr, set(names.values()))))})."
            )
        if fault := name_fault(canonical(new)):
            raise LabelError(f"`rename=[{(old, new)!r}]`: {fault}")
        wanted[old] = wanted[canonical(old)] = canonical(new)
    return wanted


def _merged(
    annotated: AnnotatedSet, names: Mapping[str, str], given: Collection[str]
) -> tuple[dict[str, str], list[str]]:
    """The names after merging those that differ only in case, with a note on each."""
    counts = Counter[str]()
    for name, images in _occurrences(annotated).items():
        counts[names[name]] += images
    first = {names[name]: -place for place, name in enumerate(annotated.classes or ())}
    lowest = -len(first) - 1
    chosen: dict[str, str] = {}
    notes: list[str] = []
    for group in look_alikes({*names.values(), *given}):
        targets = [name for name in group if name in given]
        if len(targets) > 1:
            continue  # the user lists both: separate classes
        target = (targets or [max(group, key=lambda n: (first.get(n, lowest), counts[n], n))])[0]
        chosen.update(dict.fromkeys(group, target))
        others = ", ".join(repr(name) for name in group if name != target and name in counts)
        if others:
            notes.append(f"`merge_case=True`: {others} merged into {target!r}")
    return {name: chosen.get(one, one) for name, one in names.items()}, notes


def _renamed(
    annotated: AnnotatedSet, names: Mapping[str, str], notes: Sequence[str]
) -> AnnotatedSet:
    changed = {name for name, one in names.items() if name != one}
    places: dict[str, str] = {}
    for name in sorted(annotated.places, key=lambda name: name in changed):
        places.setdefault(names.get(name, name), annotated.places[name])
    classes = annotated.classes
    return replace(
        annotated,
        samples=tuple(_with_names(sample, names, changed) for sample in annotated.samples),
        classes=None if classes is None else tuple(dict.fromkeys(names[n] for n in classes)),
        places=places,
        notes=(*annotated.notes, *notes),
    )


def _with_names(sample: Sample, names: Mapping[str, str], changed: set[str]) -> Sample:
    if changed.isdisjoint(sample.present) and changed.isdisjoint(sample.difficult):
        return sample
    present = {names[name] for name in sample.present}
    difficult = {names[name] for name in sample.difficult} - present
    return Sample(sample.path, tuple(sorted(present)), tuple(sorted(difficult)))


def question_names(annotated: AnnotatedSet, given: Sequence[str] | None) -> list[str]:
    """Check for names that may not be the classes that the user intends.

    Args:
        annotated: the set, with unified names (`unify_names`).
        given: the user's vocabulary, or None. Its names are accepted as they are.

    Returns:
        One line for the user per doubtful case that needs no decision.

    Raises:
        LabelError: a name is not in `given`; names differ only in case; a name contains several
            labels. Gives the count and location of each, and the options to resolve it.
    """
    names = {*annotated.names(), *(annotated.classes or ())}
    if given is not None:
        _refuse_unknown(annotated, given)
        return []
    _refuse_look_alikes(annotated, names)
    several = [] if annotated.classes is not None else several_in_one(names)
    if several:
        raise LabelError(
            f"{annotated.root}: labels that look like several in one, or quoted: "
            f"{_with_places(annotated, several)}. Separate them at the source (in a table, "
            "set `label_separator`), or list them in the `classes` file to keep them as they are."
        )
    doubts = [
        f"these look alike but are separate classes (to merge them: `rename=[('OLD', 'NEW')]`): "
        f"{_with_places(annotated, group)}"
        for group in joined_otherwise(names)
    ]
    doubtful = sorted(name for name in names if has_separator(name) or is_quoted(name))
    if doubtful:
        doubts.append(f"each of these is one class: {_with_places(annotated, doubtful)}")
    return doubts


def _refuse_unknown(annotated: AnnotatedSet, given: Sequence[str]) -> None:
    unknown = sorted(annotated.names() - set(given))
    if not unknown:
        return
    listed = {folded(name): name for name in given}
    close = [(name, listed[folded(name)]) for name in unknown if folded(name) in listed]
    cure = "add them to that file, or rename them: `rename=[('OLD', 'NEW')]`."
    if close:
        cure = f"with `merge_case=True`, {close[0][0]!r} becomes {close[0][1]!r}. Otherwise, {cure}"
    raise LabelError(
        f"{annotated.root}: not among the {len(given)} classes of `classes`: "
        f"{_with_places(annotated, unknown)}. {cure[0].upper()}{cure[1:]}"
    )


def _refuse_look_alikes(annotated: AnnotatedSet, names: Iterable[str]) -> None:
    groups = look_alikes(names)
    if not groups:
        return
    shown = "; ".join(_with_places(annotated, group) for group in groups[:_SHOWN])
    more = f"; and {len(groups) - _SHOWN} more" if len(groups) > _SHOWN else ""
    raise LabelError(
        f"{annotated.root}: class names that differ only in case: {shown}{more}. Merge each group "
        "with `merge_case=True` (or single names with `rename=[('OLD', 'NEW')]`), or list every "
        "spelling in the `classes` file to keep them separate."
    )


def _with_places(annotated: AnnotatedSet, names: Sequence[str]) -> str:
    """Names, each with its image count and first occurrence."""
    counts = _occurrences(annotated)
    return _some(
        [f"{name!r} ({_images(counts[name])}, {annotated.place(name)})" for name in names[:_SHOWN]],
        of=len(names),
    )


def _occurrences(annotated: AnnotatedSet) -> Counter[str]:
    counts = count_labels(annotated)
    return Counter(counts.present) + Counter(counts.difficult)


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def _some(parts: Sequence[str], *, of: int | None = None) -> str:
    total = len(parts) if of is None else of
    more = f" and {total - _SHOWN} more" if total > _SHOWN else ""
    return ", ".join(parts[:_SHOWN]) + more
