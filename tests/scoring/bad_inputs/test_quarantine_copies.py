"""Copies in a quarantine: each has its own name and bytes, and stays inside."""

from __future__ import annotations

import io
import itertools
import os
import tarfile
from pathlib import Path

import pytest
from quarantines import NAMES, RUN, copies, table
from score_doubles import make_files, score_fake

from vocscore.scoring.bad_inputs.bad_records import BadRecord, encoded
from vocscore.scoring.bad_inputs.quarantine import Quarantine


def test_a_sparse_file_is_copied_as_one(source, output, folder):
    """A bad input of a TiB of holes takes no more room, and hardly any time, in the quarantine."""
    sparse = source / "1" / "05bad.jpg"
    with sparse.open("r+b") as file:
        file.truncate((1 << 40) + 7)
        file.seek(1 << 39)
        file.write(b"in the middle")
    score_fake(make_files(source, NAMES), output, quarantine=folder, unit_size=4)
    copy = folder / "1" / "05bad.jpg"
    assert copy.stat().st_size == (1 << 40) + 7
    assert copy.stat().st_blocks * 512 < 16 << 20
    with copy.open("rb") as file:
        assert file.read(40) == b"1/05bad.jpg" * 3 + bytes(7)
        file.seek(1 << 39)
        assert file.read(20) == b"in the middle" + bytes(7)


def test_names_that_escape_or_collide_stay_inside_and_apart(tmp_path, output, folder):
    """Absolute names, '..', '//', our own names and a file in a folder's place: all inside."""
    outside = tmp_path / "deep" / "er"
    outside.mkdir(parents=True)
    names = [
        "../bad1.jpg",
        f"{tmp_path}/deep/bad1.jpg",
        "./bad3.jpg",
        "a//bad4.jpg",
        "quarantine.csv/bad5.jpg",
        "_root/bad6.jpg",
        "_other/bad7.jpg",
        ".vocscore.json/bad8.jpg",
        os.fsdecode(b'caf\xe9 bad,"9.jpg'),
        "x" * 230 + "bad.jpg",
    ]
    for number, name in enumerate(names):
        file = outside / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(number % 9))
    (outside.parent / "bad1.jpg").write_text("1")
    listed = outside / "l.txt"
    listed.write_bytes(b"\n".join(map(os.fsencode, names)))
    everything = {p for p in tmp_path.rglob("*") if p.is_file()}
    score_fake(listed, output, quarantine=folder, unit_size=3)
    rows = table(folder)
    assert [row["path"] for row in rows] == names
    assert len({row["copy"] for row in rows}) == len(names)
    for row in rows:
        copy = folder / row["copy"]
        assert copy.resolve().is_relative_to(folder.resolve())
        assert copy.read_bytes() == (outside / row["path"]).read_bytes()
    assert rows[1]["copy"] == f"_root{tmp_path}/deep/bad1.jpg"
    assert rows[8]["copy"] == names[8]
    new = {p for p in tmp_path.rglob("*") if p.is_file()} - everything
    assert all(path == output or folder in path.parents for path in new)


def test_members_of_a_tar_are_copied_by_their_names(tmp_path, output, folder):
    """A stretch of a tar becomes a file; a file where a folder has to be takes another name."""
    (tmp_path / "in").mkdir()
    members = {"s/bad.jpg": b"\xff\xd8\xff1", "s/bad.jpg/bad.jpg": b"\xff\xd8\xff22", "ok.jpg": b""}
    with tarfile.open(tmp_path / "in/a.tar", "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    (tmp_path / "in/b.tar").write_bytes(b"no tar")
    score_fake(tmp_path / "in", output, quarantine=folder)
    rows = table(folder)
    assert [row["path"] for row in rows] == ["a.tar/s/bad.jpg", "a.tar/s/bad.jpg/bad.jpg", "b.tar"]
    assert [(folder / row["copy"]).read_bytes() for row in rows] == [
        *list(members.values())[:2],
        b"no tar",
    ]
    assert [row["copy"].startswith("_other/") for row in rows] == [False, True, False]


BAD_MEMBERS = [b"AAAA", b"BBBB", b"CCCCCC", b"DDDD"]


@pytest.fixture
def repeated(tmp_path):
    """Two tars, each with four members of one name, three of them of one size."""
    (tmp_path / "in").mkdir()
    for tar in ("a", "b"):
        with tarfile.open(tmp_path / "in" / f"{tar}.tar", "w") as made:
            for data in BAD_MEMBERS:
                info = tarfile.TarInfo("x/bad.jpg")
                info.size = len(data)
                made.addfile(info, io.BytesIO(data))
    return tmp_path / "in"


def kept(folder):
    """The bytes of the copies, in the order of the table."""
    rows = table(folder)
    assert len({row["copy"] for row in rows}) == len(rows)
    assert set(copies(folder)) == {row["copy"] for row in rows}
    return [(folder / row["copy"]).read_bytes() for row in rows]


def test_members_of_one_name_have_a_copy_each(repeated, output, folder):
    """Equal names, of equal sizes too: each has its own bytes, the first one under the name."""
    score_fake(repeated, output, quarantine=folder)
    assert kept(folder) == BAD_MEMBERS * 2
    assert table(folder)[0]["copy"] == "a.tar/x/bad.jpg"


@pytest.mark.parametrize("moment", range(11))
def test_copies_of_one_name_are_the_same_after_a_kill(
    repeated, output, folder, monkeypatch, moment
):
    """Stopped before any of its writes, the next run leaves the very files of a free one."""
    score_fake(repeated, output, quarantine=folder.with_name("free"))
    expected = copies(folder.with_name("free"))
    real, count = Path.replace, iter(range(99))

    def replace(self, target):
        if str(target).startswith(str(folder)) and next(count) == moment:
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        try:
            score_fake(repeated, output, quarantine=folder, overwrite=True)
        except KeyboardInterrupt:
            score_fake(repeated, output, quarantine=folder, overwrite=True)
    assert copies(folder) == expected
    assert kept(folder) == BAD_MEMBERS * 2


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("resumed", [False, True])
def test_copies_of_one_name_do_not_depend_on_the_order_of_units(tmp_path, folder, order, resumed):
    """Packed shards may have one path twice; several workers finish them in any order."""
    units, table_order = [], []
    for number, data in enumerate((b"AAAA", b"BBBB", b"CC")):
        (tmp_path / f"{number}.tar").write_bytes(b"head" + data)
        bad = BadRecord("p/a.jpg", "corrupt", "bad", str(tmp_path / f"{number}.tar"), 4, len(data))
        units.append(tmp_path / f"bad-{number}.jsonl")
        units[-1].write_bytes(encoded([bad, bad._replace(path=f"p/{number}.jpg")]))
        table_order += [data, data]
    quarantine = Quarantine(folder, run=RUN)
    quarantine.begin()
    for number in order:
        quarantine.take(units[number])
    if resumed:  # another process, which takes all again, in order
        quarantine = Quarantine(folder, run=RUN)
        for unit in units:
            quarantine.take(unit)
    quarantine.finish(units)
    rows = table(folder)
    assert [(folder / row["copy"]).read_bytes() for row in rows] == table_order
    assert [row["copy"] for row in rows if row["path"] != "p/a.jpg"] == [
        f"p/{number}.jpg" for number in range(3)
    ]
    assert rows[0]["copy"] == "p/a.jpg"
    assert len(copies(folder)) == 6


def test_a_file_that_a_list_has_twice_is_copied_once(tmp_path, output, folder):
    """A name that comes twice in a list is the same file."""
    (tmp_path / "bad.jpg").write_bytes(b"A")
    (tmp_path / "l.txt").write_text("bad.jpg\nbad.jpg\n")
    score_fake(tmp_path / "l.txt", output, quarantine=folder)
    assert copies(folder) == {"bad.jpg": b"A"}
    assert [row["copy"] for row in table(folder)] == ["bad.jpg"] * 2


def test_a_link_that_leads_nowhere_is_listed_without_a_copy(tmp_path, output, folder):
    """There are no bytes of a broken link in a tar; its target's name is the detail."""
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("bad.jpg")
        info.type, info.linkname = tarfile.SYMTYPE, "gone.jpg"
        tar.addfile(info)
    score_fake(tmp_path / "a.tar", output, quarantine=folder)
    (row,) = table(folder)
    assert (row["path"], row["copy"]) == ("a.tar/bad.jpg", "")
    assert copies(folder) == {}


@pytest.mark.timeout(60)
def test_holes_of_a_bad_input_stay_holes_in_its_copy(tmp_path, folder):
    """A sparse file of many gigabytes has a copy of its size, and only its data takes room."""
    source, size = tmp_path / "s.jpg", 1 << 34
    with source.open("wb") as file:
        for at in (0, 1 << 30, size - 9):
            file.seek(at)
            file.write(b"some data")
    unit = tmp_path / "unit"
    twice = [BadRecord("a.jpg", "too_large", "", str(source), 0, -1) for _ in range(2)]
    unit.write_bytes(encoded(twice))
    kept = Quarantine(folder, run=RUN)
    kept.begin()
    kept.take(unit)
    kept.finish([unit])
    copy = folder / "a.jpg"
    assert copy.stat().st_size == size
    assert copy.stat().st_blocks * 512 < 1 << 20
    with copy.open("rb") as file:
        for at in (0, 1 << 30, size - 9):
            file.seek(at)
            assert file.read(9) == b"some data"
