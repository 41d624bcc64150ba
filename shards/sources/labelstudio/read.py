"""Reads the labels of images from Label Studio's export as JSON or JSON-MIN."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from shards.errors import SourceError
from shards.paths import first_names, shown
from shards.sources.finder import Finder
from shards.sources.gathered import Gathered
from shards.sources.labelstudio.image_names import TaskImages, image_field
from shards.sources.labelstudio.results import Controls, fields_of, results_of
from shards.sources.whole_file import read_whole
from shards.sources.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from shards.sample import AnnotatedSet
    from shards.sources.labelstudio.results import Result

_CURE = "Export the project as JSON or JSON-MIN"


class _Task(NamedTuple):
    """An image with the results of its annotations.

    Attributes:
        where: 'task 12', for messages.
        image: its name, as written.
        annotations: the results of each valid annotation; () if nobody has annotated it.
        skipped: whether it has only canceled annotations.
    """

    where: str
    image: str
    annotations: tuple[tuple[Result, ...], ...]
    skipped: bool = False


def read_labelstudio(root: Path, file: Path, *, controls: Sequence[str] = ()) -> AnnotatedSet:
    """Read an export. Choices and the labels of regions are classes that are present.

    Only annotations count: predictions and drafts are not labels, and tasks without an annotation
    or with canceled ones only are left out. Of several annotations of a task the ground truth
    counts, if one is marked so, else all of them together.

    Args:
        root: the folder that the images are in; see `TaskImages` for how they are found.
        file: the export, a JSON list; read into memory whole.
        controls: the controls (`from_name`) whose labels are used; () is all.

    Returns:
        The set, without splits; `classes` is None. A missing image is rejected (MISSING).

    Raises:
        SourceError: not such an export, or its fields are ambiguous; two names for one file; no
            image is found. Names the task.
    """
    records = _read_records(file)
    is_full = _is_task(records[0])
    data = [record["data"] for record in records] if is_full else records
    field = image_field(data, file)
    make = _task if is_full else _minimal_task
    tasks = [make(record, field, number, file) for number, record in enumerate(records)]
    results = [one for task in tasks for results in task.annotations for one in results]
    chosen = Controls(results, controls, file)
    finder = Finder(root, file)
    images = TaskImages(file, finder)
    gathered = Gathered()
    disputed = 0
    for task in tasks:
        sets = [{n for r in one if chosen.takes(r) for n in r.names} for one in task.annotations]
        if sets:
            gathered.add(images.find(task.image, task.where), set().union(*sets))
            disputed += any(one != sets[0] for one in sets)
    notes = [*_notes(tasks, disputed, gathered), *chosen.notes(results)]
    named = (f"{file.name}: {note}" for note in notes)
    return gathered.annotated(root, finder, notes=named)


def _read_records(file: Path) -> list[dict[str, Any]]:
    """The tasks, or the records of JSON-MIN.

    Raises:
        SourceError: the file is not a list of them.
    """
    try:
        content = json.loads(read_whole(file))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{file}: not JSON: {error}. {_CURE}.") from error
    if not isinstance(content, list) or not all(isinstance(one, dict) for one in content):
        raise SourceError(f"{file}: not a list of tasks of Label Studio. {_CURE}.")
    if not content:
        raise SourceError(f"{file}: no task in it. {_CURE}, with finished tasks.")
    if {_is_task(one) for one in content} == {True, False}:
        raise SourceError(f"{file}: tasks as JSON and as JSON-MIN in one file. {_CURE}.")
    return content


def _is_task(record: dict[str, Any]) -> bool:
    return isinstance(record.get("data"), dict)


def _image(data: dict[str, Any], field: str, where: str) -> str:
    """The name of a task's image.

    Raises:
        SourceError: it is not a text.
    """
    text = data.get(field)
    if isinstance(text, list):
        raise SourceError(f"{where}: several images in one task. Make a task of each.")
    if not isinstance(text, str) or not text.strip():
        raise SourceError(f"{where}: its field {field!r} does not name an image. Correct it.")
    return text


def _name(record: dict[str, Any], number: int) -> str:
    """A task, for messages: by its id, else by its position."""
    told = record.get("id")
    return f"task {shown(str(told))}" if isinstance(told, (int, str)) else f"[{number}]"


def _task(record: dict[str, Any], field: str, number: int, file: Path) -> _Task:
    """A task of the JSON export."""
    name = _name(record, number)
    where = f"{file}, {name}"
    image = _image(record["data"], field, where)
    # Before version 1.0, annotations were called completions.
    entries = record.get("annotations", record.get("completions")) or []
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise SourceError(f"{where}: 'annotations' is not a list of annotations. {_CURE}.")
    valid = [one for one in entries if not (one.get("was_cancelled") or one.get("skipped"))]
    valid = [one for one in valid if one.get("ground_truth")] or valid
    annotations = tuple(tuple(results_of(one.get("result"), where)) for one in valid)
    return _Task(name, image, annotations, skipped=bool(entries) and not valid)


def _minimal_task(record: dict[str, Any], field: str, number: int, file: Path) -> _Task:
    """A record of JSON-MIN, which is one annotation."""
    name = _name(record, number)
    where = f"{file}, {name}"
    image = _image(record, field, where)
    return _Task(name, image, (tuple(fields_of(record, field, where)),))


def _notes(tasks: Sequence[_Task], disputed: int, gathered: Gathered) -> Iterator[str]:
    """Lines on tasks that are left out or have several annotations."""
    empty = [task for task in tasks if not task.annotations]
    skipped = sum(task.skipped for task in empty)
    if empty:
        yield (
            f"left out: {counted(len(empty) - skipped, 'task')} without an annotation and "
            f"{skipped} with canceled ones only: {first_names([task.where for task in empty])}"
        )
    if disputed:
        yield f"{counted(disputed, 'task')} with annotations that differ: all of them count"
    if gathered.again:
        yield (
            f"{counted(len(gathered.again), 'image')} in several tasks or annotations, "
            f"{len(gathered.differing)} with different labels: merged"
        )
