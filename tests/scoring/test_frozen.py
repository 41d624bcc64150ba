from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import tempfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from vocscore.errors import ScoreError
from vocscore.scoring.inputs import collector as collecting
from vocscore.scoring.inputs import lists as listing
from vocscore.scoring.inputs import walk as walking
from vocscore.scoring.inputs.collector import Collector, kept
from vocscore.scoring.inputs.frozen import FrozenNames, freeze, open_frozen
from vocscore.scoring.inputs.globs import Globs
from vocscore.scoring.inputs.sources import read_source
from vocscore.scoring.inputs.units import LooseFiles, digest_of

UNUSUAL = [
    "\udcff.jpg",
    "\ud7ff.jpg",
    "\ue000.jpg",
    "\uffff.jpg",
    "\U0001f600.png",
    "é",
    "line\nend",
]


def names_of(count: int, *, seed: int = 0) -> list[str]:
    """Distinct names in random order; some are no text, or contain line ends."""
    rng = random.Random(seed)
    names = [f"{rng.choice('abcé')}/{rng.randrange(10**9)}-{row}.jpg" for row in range(count)]
    return names[: count - len(UNUSUAL)] + UNUSUAL[:count]


def collected(names: list[str], *, limit: int, **options: bool) -> Collector:
    """A collector that was asked to write after every name."""
    found = Collector(limit=limit, **options)
    for name in names:
        found.recent.append(name)
        found.relieve()
    return found


@pytest.mark.parametrize("limit", [1, 7, 63, 64, 500, 999])
def test_many_names_come_sorted_as_a_list_of_them_would_be(limit):
    """Runs in a file are merged in the order of `sorted`, also around surrogate-escaped bytes."""
    names = names_of(1000)
    found = collected(names, limit=limit).names()
    assert isinstance(found, FrozenNames)
    assert list(found) == sorted(names)
    assert found.digest == digest_of(sorted(names))


def test_few_names_are_a_sorted_list():
    """Below the limit there is no temporary file."""
    names = names_of(500)
    found = collected(names, limit=501).names()
    assert type(found) is list
    assert found == sorted(names)


def test_sorted_runs_of_pieces_smaller_than_a_name_are_merged(monkeypatch):
    """The pieces that are read of a run may end anywhere, also within a name."""
    monkeypatch.setattr(collecting, "_LEAST_PIECE", 3)
    monkeypatch.setattr(collecting, "_MERGED_BYTES", 1)
    names = names_of(400, seed=1)
    assert list(collected(names, limit=37).names()) == sorted(names)


def test_an_ordered_collector_keeps_the_order_and_the_duplicates():
    """A list of paths may name an image twice, in any order."""
    names = ["b", "a", "b", *names_of(300), "a"]
    assert list(collected(names, limit=50, ordered=True).names()) == names


def test_every_slice_and_place_is_that_of_a_list():
    """Slices with any ends and steps, single names and their errors are those of a list."""
    names = sorted(names_of(333))
    found = collected(names, limit=100).names()
    rng = random.Random(2)
    for _ in range(300):
        start, stop = rng.randrange(-400, 400), rng.randrange(-400, 400)
        assert found[start:stop] == names[start:stop]
        assert found[start : stop : rng.choice([-2, -1, 3])] is not None
    assert found[::-7] == names[::-7]
    assert [found[place] for place in (0, 63, 64, 65, -1)] == [
        names[place] for place in (0, 63, 64, 65, -1)
    ]
    assert len(found) == 333
    with pytest.raises(IndexError):
        found[333]


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 128, 1000])
def test_a_frozen_listing_is_opened_with_the_same_names_and_digest(tmp_path, count):
    """The file's hash is the digest of the listing; a list and a view write the same bytes."""
    names = names_of(count)[:count]
    with (tmp_path / "names").open("wb") as file:
        digest = freeze(names, file)
    found = open_frozen(tmp_path / "names", digest=digest)
    assert list(found) == names
    assert digest == digest_of(names) == found.digest
    assert digest == hashlib.sha256((tmp_path / "names").read_bytes()).hexdigest()
    again = BytesIO()
    assert freeze(found, again) == digest
    assert again.getvalue() == (tmp_path / "names").read_bytes()


def test_a_frozen_listing_that_was_cut_or_changed_is_refused(tmp_path):
    """A listing cut within a name, and one with another hash, are refused with one line."""
    file = tmp_path / "names"
    with file.open("wb") as opened:
        digest = freeze(["a.jpg", "b.jpg"], opened)
    for data in (b"a.jpg\0b.j", b"a.jpg\0"):
        file.write_bytes(data)
        with pytest.raises(ScoreError, match="incomplete or changed listing"):
            open_frozen(file, digest=digest)


def test_units_are_the_same_wherever_the_names_are():
    """Units are cut from a view as from a list, with the faults of their names."""
    names = sorted(names_of(250))
    in_memory = LooseFiles("root", names)
    in_file = replace(in_memory, names=collected(names, limit=40).names())
    assert list(in_file.units(64)) == list(in_memory.units(64))
    assert in_file.digest() == in_memory.digest()


def test_a_folder_a_list_and_patterns_do_not_depend_on_where_names_are(tmp_path, monkeypatch):
    """A folder and a list give the same inputs, with patterns as well, if names go to a file."""
    for name in (f"{row % 7}/{row:03}{'.png' if row % 3 else '.jpg'}" for row in range(90)):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).touch()
    (tmp_path / "all.txt").write_text("".join(f"set/{row % 7}/{row:03}.png\n" for row in range(90)))
    sources = [(tmp_path / name, globs) for name in ("set", "all.txt") for globs in (None, "*.png")]
    read = [read_source(path, globs=Globs((globs,) if globs else ())) for path, globs in sources]
    monkeypatch.setattr(collecting, "NAMES_IN_MEMORY", 10)
    for module in (collecting, walking, listing):
        monkeypatch.setattr(module, "NAMES_BETWEEN_CALLS", 4)
    for (path, globs), before in zip(sources, read, strict=True):
        now = read_source(path, globs=Globs((globs,) if globs else ()))
        assert isinstance(now.names, FrozenNames)
        assert list(now.names) == before.names
        assert now.digest() == before.digest()


def test_a_full_temporary_folder_is_one_line(monkeypatch):
    """If the temporary file cannot be written, the message says where and what to set."""

    def full(**_options: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(ScoreError, match=r"No space left on device in .*set TMPDIR"):
        collected(names_of(20), limit=10)


def test_kept_names_of_a_list_are_a_list():
    """Choosing among few names needs no file."""
    assert kept(["a", "b", "a"], "a".__eq__) == ["a", "a"]


_LARGE = """
from vocscore.machine import peak_memory
from vocscore.scoring.inputs.collector import Collector

found = Collector(limit=10_000)
before = peak_memory()
for row in range(300_000):
    found.recent.append(f"folder/{row * 7919 % 300_000:08}/photograph-{row:08}.jpg")
    if row % 1000 == 0:
        found.relieve()
names = found.names()
total = sum(map(len, names))
print(len(names), total, peak_memory() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in other units")
def test_300000_names_take_less_than_20_bytes_each():
    """Names of 30 MB as strings are sorted and read within 6 MB."""
    done = subprocess.run(
        [sys.executable, "-c", _LARGE],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    count, total, peak = map(int, done.stdout.split())
    assert (count, total) == (300_000, 300_000 * len("folder/00000000/photograph-00000000.jpg"))
    assert peak < 20 * count
