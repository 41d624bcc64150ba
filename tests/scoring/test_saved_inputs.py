from __future__ import annotations

import os
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from shards.errors import Fault, Reason
from vocscore.errors import ScoreError
from vocscore.scoring.inputs.collector import Collector
from vocscore.scoring.inputs.globs import Globs
from vocscore.scoring.inputs.saved import read_inputs, write_inputs
from vocscore.scoring.inputs.tar_units import Tars
from vocscore.scoring.inputs.units import LooseFiles

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [f"{row:03}\udcff\n.jpg" for row in range(130)]
FILES = LooseFiles(
    "/photos",
    NAMES,
    {".txt": 3},
    ["one problem"],
    {NAMES[70]: Fault(Reason.VANISHED, "no such file")},
    Globs(("*.jpg",), ("a/*",)),
    stamps="size",
)
TARS = Tars("/tars", ["a.tar", "b\udcff.tar"], [10, 20], [1 << 60, 2], [3, None], {".json": 1})


def written(inputs: LooseFiles | Tars, file: Path) -> LooseFiles | Tars:
    """The inputs that a file has after they were written to it."""
    with file.open("wb") as opened:
        write_inputs(inputs, opened)
    return read_inputs(file)


@pytest.mark.parametrize("inputs", [FILES, TARS], ids=["files", "tars"])
def test_saved_inputs_give_the_same_units_and_digest(tmp_path, inputs):
    """Units with their names and faults, counts, problems and the digest are those written."""
    found = written(inputs, tmp_path / "listing")
    (tmp_path / "listing").unlink()
    assert list(found.units(64)) == list(inputs.units(64))
    assert found.digest() == inputs.digest()
    for name in ("images", "weight", "skipped", "globs", "root"):
        assert getattr(found, name) == getattr(inputs, name)
    assert list(found.problems) == list(inputs.problems)


def test_a_relative_folder_is_found_from_elsewhere(tmp_path, monkeypatch):
    """A job that was started in another folder reads the same files."""
    monkeypatch.chdir(tmp_path)
    assert written(replace(FILES, root="photos"), tmp_path / "listing").root == f"{tmp_path}/photos"


def test_names_in_a_temporary_file_give_the_same_bytes():
    """What is written does not depend on where the names are."""
    collector = Collector(ordered=True, limit=20)
    for name in NAMES:
        collector.recent.append(name)
        collector.relieve()
    one, other = BytesIO(), BytesIO()
    write_inputs(FILES, one)
    write_inputs(replace(FILES, names=collector.names()), other)
    assert one.getvalue() == other.getvalue()
    assert one.getvalue().endswith(b"\n" + b"".join(os.fsencode(name) + b"\0" for name in NAMES))


@pytest.mark.parametrize("inputs", [FILES, TARS], ids=["files", "tars"])
def test_a_saved_listing_that_is_cut_anywhere_is_refused(tmp_path, inputs):
    """No prefix of the file is taken for a listing."""
    file = tmp_path / "listing"
    written(inputs, file)
    whole = file.read_bytes()
    for size in range(0, len(whole), 7):
        file.write_bytes(whole[:size])
        with pytest.raises(ScoreError, match=r"listing.*Remove it\.$"):
            read_inputs(file)


def test_a_saved_listing_with_another_size_of_a_tar_is_refused(tmp_path):
    """The digest covers the sizes of tars."""
    file = tmp_path / "listing"
    written(TARS, file)
    file.write_bytes(file.read_bytes().replace(b"[10, 20]", b"[10, 21]"))
    with pytest.raises(ScoreError, match=r"listing.*Remove it\.$"):
        read_inputs(file)
