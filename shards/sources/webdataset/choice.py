"""Finds where the labels of samples in tars are: in which members and, in JSON, which field."""

from __future__ import annotations

import os
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from shards.errors import SourceError
from shards.files import open_binary
from shards.paths import first_names, shown
from shards.sources.webdataset.values import LARGEST, BadValueError, label_fields, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from shards.sources.webdataset.samples import Listing, TarSample

_TRIED = 100
"""Samples looked at to find the field of the labels."""


class Choice(NamedTuple):
    """Where the labels are.

    Attributes:
        extension: of the members with labels.
        fields: of their JSON; () for the whole value.
    """

    extension: str
    fields: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """One of `values.KINDS`."""
        return self.extension.rpartition(".")[2]

    def __str__(self) -> str:
        """As messages show it."""
        fields = f", {' and '.join(map(shown, self.fields))}" if self.fields else ""
        return f".{self.extension}{fields}"


def label_bytes(
    files: Sequence[Path], samples: Sequence[TarSample], extension: str
) -> Iterator[tuple[TarSample, bytes | None]]:
    """The label of each sample, or its first bytes if it is too large for one; None without one."""
    file = None
    try:
        for number, group in groupby(samples, key=attrgetter("tar")):
            file = files[number]
            with open_binary(file) as tar:
                for sample in group:
                    yield sample, _read(tar.fileno(), sample.labels.get(extension))
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {error.strerror}.") from error


def _read(tar: int, place: tuple[int, int] | None) -> bytes | None:
    if place is None:
        return None
    offset, size = place
    return os.pread(tar, min(size, LARGEST + 1), offset)


def choose(root: Path, files: Sequence[Path], listing: Listing, columns: Sequence[str]) -> Choice:
    """Choose the members with the labels.

    Args:
        root: the folder of the set, for messages.
        files: the tars.
        listing: their samples.
        columns: what the user names: an extension, or fields of the JSON.

    Raises:
        SourceError: nowhere, or in several places.
    """
    found = listing.extensions
    if len(columns) == 1 and columns[0] in found:
        return Choice(columns[0])
    jsons = [one for one in found if one.rpartition(".")[2] == "json"]
    # Metadata in JSON beside the labels is usual, as in img2dataset's tars.
    usable = jsons if columns else [one for one in found if one not in jsons] or jsons
    if len(usable) == 1:
        choice = Choice(usable[0], tuple(columns))
        return choice if columns or choice.kind != "json" else _with_field(files, listing, choice)
    if usable:
        told = first_names([f".{one}" for one in usable])
        raise SourceError(
            f"{root}: labels may be in {told}. Choose one: `label_column=[{usable[0]!r}]`."
        )
    there = first_names([f".{one}" for one in listing.others]) or "nothing else"
    raise SourceError(
        f"{root}: no sample has labels (a member .cls, .npy or .json"
        f"{' with a field ' + shown(columns[0]) if columns else ''}; found: {there}). Give another "
        "set, or `labels` with a table."
    )


def _with_field(files: Sequence[Path], listing: Listing, choice: Choice) -> Choice:
    """Find the field of the JSON that has the labels.

    Raises:
        SourceError: none, or several, could be it.
    """
    few = [one for one in listing.samples if choice.extension in one.labels][:_TRIED]
    keys: dict[str, None] = {}
    fields: dict[str, None] = {}
    for _, data in label_bytes(files, few, choice.extension):
        try:
            value = parse_json(data or b"")
        except BadValueError:  # the sample is rejected later
            continue
        if not isinstance(value, dict):
            return choice
        keys.update(dict.fromkeys(map(str, value)))
        fields.update(dict.fromkeys(label_fields(value)))
    if len(fields) == 1:
        return choice._replace(fields=tuple(fields))
    what = "several fields of labels" if fields else "no field of labels"
    raise SourceError(
        f"{files[0].parent}: .{choice.extension}: {what} ({first_names(list(fields or keys))}). "
        "Name it: `label_column=['NAME']`."
    )
