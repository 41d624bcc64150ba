"""`--max-bad` and `--quarantine`, with a stand-in for the network."""

from __future__ import annotations

import csv
import io
import itertools
import os
import tarfile
from pathlib import Path

import pytest
from score_doubles import FakeForward, FakeLoader, is_bad, make_files, score_fake

from vocscore.errors import ScoreError, StoppedOnPurposeError
from vocscore.scoring.bad_inputs import bad_inputs, quarantine
from vocscore.scoring.bad_inputs.bad_records import BadRecord, encoded
from vocscore.scoring.bad_inputs.quarantine import Quarantine, refuse_inside
from vocscore.scoring.output.ledger import UnitRecord, open_ledger, work_folder

NAMES = [f"{i // 5}/{i:02d}{'bad' if i % 4 == 1 else ''}.jpg" for i in range(22)]
BAD = [name for name in NAMES if is_bad(name)]
RUN = {"listing": "x"}


@pytest.fixture
def source(tmp_path):
    """Images whose bytes are their names."""
    make_files(tmp_path / "in", NAMES)
    for name in NAMES:
        (tmp_path / "in" / name).write_text(name * 3)
    return tmp_path / "in"


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out.csv"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "q"


def table(folder):
    with (folder / "quarantine.csv").open(
        encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        return list(csv.DictReader(file))


def copies(folder):
    """Relative path -> bytes of everything below that is no table and no mark."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    found = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    return {n: data for n, data in found.items() if n not in ("quarantine.csv", ".vocscore.json")}


def check(source, folder, bad):
    rows = table(folder)
    assert [row["path"] for row in rows] == bad
    assert {(row["reason"], row["detail"]) for row in rows} == {("corrupt", "it is bad")}
    assert copies(folder) == {row["copy"]: (source / row["path"]).read_bytes() for row in rows}


def test_without_a_limit_bad_inputs_never_stop_a_run(source, output):
    """The default is a row for each, however many are bad."""
    score_fake(make_files(source, ["bad1.jpg", "bad2.jpg"]), output, unit_size=1)
    assert output.exists()


@pytest.mark.parametrize(("max_bad", "stops"), [(0.0, 4), (0.2, 8), (0.27, 22), (0.28, None)])
def test_a_run_stops_behind_the_unit_that_exceeds_the_share(
    source, output, monkeypatch, max_bad, stops
):
    """Judged after each unit over all rows so far, from the least number of rows on."""
    monkeypatch.setattr(bad_inputs, "LEAST_ROWS", 3)
    shares = [sum(map(is_bad, sorted(NAMES)[:n])) / n for n in (4, 8, 12, 16, 20, 22)]
    assert [share > max_bad for share in shares].index(True) >= 0 if stops else True
    if stops is None:
        score_fake(source, output, max_bad=max_bad)
        assert output.exists()
        return
    with pytest.raises(StoppedOnPurposeError, match="more than --max-bad") as error:
        score_fake(source, output, max_bad=max_bad)
    first = next(n for n, s in zip((4, 8, 12, 16, 20, 22), shares, strict=True) if s > max_bad)
    assert f"of {first} inputs so far are bad" in str(error.value)
    assert not output.exists()
    assert len(list(work_folder(output).glob("part-*.csv"))) == -(-first // 4)


def test_a_few_rows_are_judged_at_the_end_only(source, output):
    """Under the least number of rows nothing stops early; the whole is judged all the same."""
    loader = FakeLoader(3)
    with pytest.raises(StoppedOnPurposeError, match=r"6 of 22 inputs .*\(6 corrupt\)"):
        score_fake(source, output, max_bad=0.01, loader=loader)
    assert sum(map(len, loader.asked)) == 22


def test_a_higher_limit_goes_on_from_what_is_kept(source, output, monkeypatch, tmp_path):
    """Nothing that was committed is scored again, and the bytes are those of a free run."""
    score_fake(source, tmp_path / "free.csv")
    monkeypatch.setattr(bad_inputs, "LEAST_ROWS", 3)
    with pytest.raises(StoppedOnPurposeError):
        score_fake(source, output, max_bad=0.0)
    again = FakeLoader(3)
    with pytest.raises(StoppedOnPurposeError):
        score_fake(source, output, max_bad=0.0, loader=again)
    assert again.asked == []  # it was clear before anything was decoded
    loader = FakeLoader(3)
    score_fake(source, output, max_bad=0.5, loader=loader)
    assert sum(map(len, loader.asked)) == 18
    assert output.read_bytes() == (tmp_path / "free.csv").read_bytes()


def test_offenders_are_copied_with_their_folders_and_listed(source, output, folder):
    """Bytes and folder structure are kept, the table has path, reason, detail and copy."""
    score_fake(source, output, quarantine=folder)
    check(source, folder, BAD)
    assert sorted(copies(folder)) == BAD
    assert not work_folder(output).exists()


def test_a_quarantine_asked_for_in_the_middle_has_everything(source, output, folder):
    """What earlier runs without a quarantine had met is copied, too."""

    class Stops(FakeForward):
        units = 0

        def flush(self):
            self.units += 1
            if self.units == 4:
                raise KeyboardInterrupt
            return iter(())

    with pytest.raises(KeyboardInterrupt):
        score_fake(source, output, forward=Stops())
    score_fake(source, output, quarantine=folder)
    check(source, folder, BAD)


def test_a_run_that_its_limit_stops_leaves_the_table(source, output, folder, monkeypatch):
    """When --max-bad stops a run, the bad inputs so far are copied and listed."""
    monkeypatch.setattr(bad_inputs, "LEAST_ROWS", 3)
    with pytest.raises(StoppedOnPurposeError):
        score_fake(source, output, max_bad=0.0, quarantine=folder)
    check(source, folder, BAD[:1])


@pytest.mark.parametrize("moment", range(12))
def test_a_quarantine_that_was_cut_short_is_completed(source, output, folder, monkeypatch, moment):
    """Stopped before any of its writes and renames, the next run leaves the same folder."""
    real, count = Path.replace, iter(range(99))

    def replace(self, target):
        if str(target).startswith(str(folder)) and next(count) == moment:
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        try:
            score_fake(source, output, quarantine=folder)
        except KeyboardInterrupt:
            assert moment < len(BAD) + 2  # the mark, the copies, the table
            score_fake(source, output, quarantine=folder)
    check(source, folder, BAD)
    assert not list(folder.rglob(".*.tmp"))


def test_half_a_copy_is_made_again_and_a_whole_one_is_not(source, output, folder):
    """A copy of another size than its source, as a power cut leaves, is replaced."""
    score_fake(source, output, quarantine=folder)
    half, whole = folder / BAD[0], folder / BAD[1]
    half.write_bytes(b"")
    before = whole.stat().st_ino
    score_fake(source, output, quarantine=folder, overwrite=True)
    check(source, folder, BAD)
    assert whole.stat().st_ino == before


def test_what_cannot_be_copied_is_listed(source, output, folder):
    """Vanished files, folders and pipes in a file's place are in the table without a copy."""
    (source / "gonebad.jpg").symlink_to("nowhere")
    os.mkfifo(source / "pipebad.jpg")
    listed = source.parent / "l.txt"
    listed.write_text("in/gonebad.jpg\nin/pipebad.jpg\nin/0/nulbad\x01.jpg\nin\n" + f"in/{BAD[0]}")
    score_fake(listed, output, quarantine=folder)
    rows = table(folder)
    assert [bool(row["copy"]) for row in rows] == [False, False, False, True]
    assert list(copies(folder)) == [f"in/{BAD[0]}"]


def test_bytes_that_the_disk_does_not_hand_out_are_listed(source, output, folder, monkeypatch):
    """An input/output error while copying leaves no half of a copy, and the run goes on."""
    real, count = os.pread, iter(range(99))

    def pread(descriptor, size, offset):
        if next(count) == 1:
            raise OSError(5, "Input/output error")
        return real(descriptor, size, offset)

    monkeypatch.setattr(quarantine.os, "pread", pread)
    score_fake(source, output, quarantine=folder)
    assert [bool(row["copy"]) for row in table(folder)] == [True, False, *[True] * (len(BAD) - 2)]
    assert sorted(copies(folder)) == [BAD[0], *BAD[2:]]


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


def test_the_quarantine_of_other_inputs_and_a_folder_in_use_are_refused(tmp_path, folder):
    """Another job's folder, and a folder with anything in it, is not mixed with."""
    for _ in range(2):
        Quarantine(folder, run=RUN).begin()
    with pytest.raises(ScoreError, match="not the quarantine of these inputs"):
        Quarantine(folder, run={"listing": "y"})
    with pytest.raises(ScoreError, match="not empty"):
        Quarantine(make_files(tmp_path / "used", ["mine.jpg"]), run=RUN)


def test_a_quarantine_inside_its_source_is_refused(tmp_path):
    """Copies must not be inputs of the next run; links do not hide it."""
    source = make_files(tmp_path / "in", ["x/a.jpg"])
    (tmp_path / "link").symlink_to(source / "x")
    for inside in (source, source / "q", source / "x/q", tmp_path / "link" / "q"):
        with pytest.raises(ScoreError, match="copies would become inputs"):
            refuse_inside(inside, source)
    refuse_inside(tmp_path / "in2", source)


def test_a_unit_that_is_committed_again_without_bad_inputs_has_no_list_of_them(output):
    """What a run left that was killed before it marked the part does not stay."""
    with open_ledger(output, {}, suffix=".csv", overwrite=False) as ledger:
        ledger.commit(0, UnitRecord(1, {"empty": 1}), lambda file: None, bad_records=b"[]\n")
        assert ledger.bad_records(0).read_bytes() == b"[]\n"
        ledger.commit(0, UnitRecord(1), lambda file: None)
        assert not ledger.bad_records(0).exists()
        ledger.discard()


def test_a_disk_that_will_not_have_the_copies_is_one_line(source, output, folder, monkeypatch):
    """A full disk stops the run, what is finished is kept, and the next run goes on."""

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(quarantine, "_pour", full)
        with pytest.raises(ScoreError, match=r"q/0/01bad\.jpg: cannot be written: no space left"):
            score_fake(source, output, quarantine=folder)
    score_fake(source, output, quarantine=folder)
    check(source, folder, BAD)


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
