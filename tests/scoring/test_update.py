"""`score --update`: equal to a fresh run in paths, order and format; old rows keep their bytes."""

from __future__ import annotations

import json
import os
import random
import shutil

import numpy as np
import pytest
from mutations import good_jpegs
from tiny_network import CLASSES, make_checkpoint, run

from vocscore.errors import OptionError, ScoreError
from vocscore.records.score_record import read_record, record_file
from vocscore.scoring.output.ledger import Ledger
from vocscore.scoring.output.work_folder import work_folder

FORMATS = ("csv", "jsonl", "parquet")
ODD = (
    "a,b.jpg",
    'q"u.jpg',
    "line\nend.jpg",
    "<script>.jpg",
    os.fsdecode(b"\xe9t\xe9.jpg"),
    "ä;.jpg",
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture
def source(tmp_path):
    """Twenty images with ordinary and odd names, two of them unreadable."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    jpegs = good_jpegs()
    for number, name in enumerate([*ODD, *(f"{n}.jpg" for n in range(8)), "sub/x.jpg", "z.jpg"]):
        put(folder / name, jpegs[number % len(jpegs)], at=number)
    put(folder / "bad.jpg", b"no image", at=1)
    put(folder / "empty.jpg", b"", at=1)
    return folder


def put(file, data, *, at=0):
    """Write a file with a modification time, so that no two differ by chance."""
    file.write_bytes(data)
    os.utime(file, (1_600_000_000 + at, 1_600_000_000 + at))


def rows_of(file):
    """Path -> the row as it stands in the file, in order: an independent reader of each format."""
    if file.suffix == ".parquet":
        import pyarrow.parquet as pq

        rows = pq.read_table(file).to_pylist()
        return {row["path_bytes"] or row["path"].encode(): row for row in rows}
    text = file.read_bytes()
    if file.suffix == ".jsonl":
        found = {}
        for line in text.splitlines(keepends=True):
            row = json.loads(line)
            exact = row.get("path_bytes")
            found[bytes.fromhex(exact) if exact else row["path"].encode()] = line
        return found
    return dict(_csv_rows(text))


def _csv_rows(text):
    """A character machine for RFC 4180."""
    row, inside = bytearray(), False
    for byte in text[text.index(b"\n") + 1 :]:
        row.append(byte)
        inside ^= byte == ord('"')
        if byte == ord("\n") and not inside:
            line = bytes(row)
            if line[:1] == b'"':
                path = line[1:].replace(b'""', b"\0").partition(b'"')[0].replace(b"\0", b'"')
            else:
                path = line.partition(b",")[0]
            yield path, line
            row.clear()


def probabilities(row, kind):
    if kind == "parquet":
        return [row[name] for name in CLASSES]
    if kind == "jsonl":
        return list(json.loads(row)["probabilities"].values())
    return [float(cell) for cell in row.decode("utf-8", "surrogateescape").rsplit(",", 4)[1:4]]


def is_good(row, kind):
    if kind == "parquet":
        return row["status"] == "ok"
    return b'"status": "ok"' in row if kind == "jsonl" else b",ok," in row


def check_twin(source, output, checkpoint, before, changed, **options):
    """Compare an updated output with a fresh run's, and its reused rows with the old ones."""
    kind = output.suffix[1:]
    fresh_file = output.with_name(f"fresh{output.suffix}")
    run(source, fresh_file, checkpoint, overwrite=True, **options)
    fresh, updated = rows_of(fresh_file), rows_of(output)
    assert list(updated) == list(fresh)
    for path, row in updated.items():
        assert is_good(row, kind) == is_good(fresh[path], kind)
        if path in before and path not in changed and is_good(row, kind):
            assert row == before[path]
        elif is_good(row, kind):
            new, there = probabilities(row, kind), probabilities(fresh[path], kind)
            np.testing.assert_allclose(new, there, atol=1e-5)
        else:
            assert row == fresh[path]
    if kind == "parquet":
        import pyarrow.parquet as pq

        a, b = pq.ParquetFile(output), pq.ParquetFile(fresh_file)
        assert a.schema_arrow.equals(b.schema_arrow, check_metadata=True)
        groups = [
            [f.metadata.row_group(n).num_rows for n in range(f.num_row_groups)] for f in (a, b)
        ]
        assert groups[0] == groups[1]
    record, twin = (read_record(record_file(file)) for file in (output, fresh_file))
    assert (record.rows, dict(record.errors)) == (twin.rows, dict(twin.errors))
    stamps, other = (np.load(f"{file}.files.npy") for file in (output, fresh_file))
    assert (stamps == other).all()


def change(source):
    """Add, change, remove, break and repair images; return the paths that differ from before."""
    jpegs = good_jpegs()
    put(source / "0new.jpg", jpegs[3], at=50)
    put(source / "sub" / "y\n,.jpg", jpegs[4], at=51)
    put(source / "2.jpg", jpegs[5], at=52)  # other bytes
    put(source / "3.jpg", b"broken", at=53)
    put(source / "bad.jpg", jpegs[6], at=54)
    for name in ("4.jpg", "z.jpg", ODD[0]):
        (source / name).unlink()
    return {b"0new.jpg", b"sub/y\n,.jpg", b"2.jpg", b"3.jpg", b"bad.jpg", b"empty.jpg"}


@pytest.mark.parametrize("kind", FORMATS)
def test_it_equals_a_fresh_run_and_reused_rows_keep_their_bytes(source, checkpoint, tmp_path, kind):
    """After images were added, changed, removed, broken and repaired."""
    output, small = tmp_path / f"o.{kind}", {"unit_size": 3}
    run(source, output, checkpoint, **small)
    before = rows_of(output)
    changed = change(source)
    report = run(source, output, checkpoint, update=True, **small)
    assert report.update == {
        "reused": 11, "new": 2, "changed": 2, "retried": 2, "dropped": 3, "kept": 0,
    }  # fmt: skip
    assert report.images == 17
    check_twin(source, output, checkpoint, before, changed, **small)
    assert read_record(record_file(output)).update == report.update
    assert not work_folder(output).exists()


@pytest.mark.parametrize("kind", FORMATS)
def test_random_changes_in_a_row_equal_a_fresh_run(checkpoint, tmp_path, kind):
    """Three updates after one another, of folders that empty, grow and change at random."""
    draw, jpegs = random.Random(7), good_jpegs()
    source, output = tmp_path / "in", tmp_path / f"o.{kind}"
    source.mkdir()
    for number in range(12):
        put(source / f"{number}.jpg", jpegs[number % len(jpegs)], at=number)
    run(source, output, checkpoint, unit_size=4)
    for step in range(3):
        before, changed = rows_of(output), set()
        for number in range(18):
            file = source / f"{number}.jpg"
            what = draw.choice(["stay", "stay", "put", "remove"])
            if what == "put":
                put(file, draw.choice(jpegs), at=1000 * (step + 1) + number)
                changed.add(file.name.encode())
            elif what == "remove":
                file.unlink(missing_ok=True)
        run(source, output, checkpoint, update=True, unit_size=4)
        check_twin(source, output, checkpoint, before, changed, unit_size=4)


def test_rows_of_removed_images_are_kept_if_asked(source, checkpoint, tmp_path):
    """In their places by name; then the plain command does not take the output for its own."""
    output = tmp_path / "o.csv"
    run(source, output, checkpoint)
    before = rows_of(output)
    for name in ("4.jpg", "z.jpg", "empty.jpg"):
        (source / name).unlink()
    report = run(source, output, checkpoint, update=True, keep_removed=True)
    assert (report.update["kept"], report.update["dropped"]) == (2, 1)
    after = rows_of(output)
    del before[b"empty.jpg"]
    assert after == before
    assert list(after) == list(before)
    with pytest.raises(ScoreError, match="2 rows of images that are gone"):
        run(source, output, checkpoint)
    again = run(source, output, checkpoint, update=True, keep_removed=True)
    assert again.update["kept"] == 2
    assert rows_of(output) == after
    assert run(source, output, checkpoint, update=True).update["dropped"] == 2


def test_only_removed_images_need_no_scoring(source, checkpoint, tmp_path):
    """Rows are dropped, the others keep their bytes; with nothing to do the file is not touched."""
    output = tmp_path / "o.csv"
    for name in ("bad.jpg", "empty.jpg"):
        (source / name).unlink()
    run(source, output, checkpoint)
    before, inode = rows_of(output), output.stat().st_ino
    assert run(source, output, checkpoint, update=True).complete
    assert output.stat().st_ino == inode
    (source / "5.jpg").unlink()
    assert run(source, output, checkpoint, update=True).update["dropped"] == 1
    del before[b"5.jpg"]
    assert rows_of(output) == before


def test_hashes_see_what_sizes_and_times_do_not(source, checkpoint, tmp_path):
    """Equal size and time with other bytes is a change by hash only; a new time alone is none."""
    output, by_hash = tmp_path / "o.csv", {"update": True, "update_by": "hash"}
    run(source, output, checkpoint, **by_hash)
    file = source / "6.jpg"
    data, times = bytearray(file.read_bytes()), file.stat().st_mtime
    data[-40] ^= 255
    file.write_bytes(bytes(data))
    os.utime(file, (times, times))
    os.utime(source / "5.jpg", (5, 5))
    copy = tmp_path / "copy.csv"
    for suffix in ("", ".json", ".files.npy"):
        shutil.copy(f"{output}{suffix}", f"{copy}{suffix}")
    assert run(source, copy, checkpoint, update=True).update["changed"] == 1  # 5.jpg, by its time
    report = run(source, output, checkpoint, **by_hash)
    assert (report.update["changed"], report.update["new"]) == (1, 0)
    assert run(source, output, checkpoint, **by_hash).update["changed"] == 0


def test_lists_may_change_their_order(source, checkpoint, tmp_path):
    """Rows are in the order of the new list, also where a path comes twice."""
    output, paths = tmp_path / "o.csv", tmp_path / "list.txt"
    paths.write_text("in/1.jpg\nin/2.jpg\nin/3.jpg\n")
    run(paths, output, checkpoint)
    before = rows_of(output)
    paths.write_text("in/3.jpg\nin/5.jpg\nin/1.jpg\nin/1.jpg\n")
    report = run(paths, output, checkpoint, update=True)
    assert (report.update["reused"], report.update["new"], report.update["dropped"]) == (3, 1, 1)
    lines = output.read_bytes().splitlines(keepends=True)
    old = [before[f"in/{n}.jpg".encode()] for n in (3, 1, 1)]
    assert [lines[1], *lines[3:]] == old
    assert lines[2].startswith(b"in/5.jpg,ok,")


class Killed(BaseException):
    """As by kill -9."""


@pytest.mark.parametrize("step", [1, 3, 4, 5, 6, 7, 9])
def test_killed_at_any_moment_the_old_output_is_there_and_the_update_resumes(
    source, checkpoint, tmp_path, monkeypatch, step
):
    """At every rename and removal: the output is the old or the new one; a rerun ends the same."""
    import pathlib

    output, options = tmp_path / "o.csv", {"unit_size": 2}
    run(source, output, checkpoint, **options)
    old, before = output.read_bytes(), rows_of(output)
    changed = change(source)
    left = [step]

    def counted(original):
        def touch(path, *arguments, **keywords):
            if path.parent in (tmp_path, work_folder(output)):
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
            return original(path, *arguments, **keywords)

        return touch

    merge = Ledger.merge
    with monkeypatch.context() as patch:

        def late(self, *arguments, **keywords):
            for name in ("replace", "rename", "unlink"):
                patch.setattr(pathlib.Path, name, counted(getattr(pathlib.Path, name)))
            return merge(self, *arguments, **keywords)

        patch.setattr(Ledger, "merge", late)
        with pytest.raises(Killed):
            run(source, output, checkpoint, update=True, **options)
    new = rows_of(output) if output.exists() else None
    assert output.read_bytes() == old or list(new) != list(before)
    run(source, output, checkpoint, update=True, **options)
    check_twin(source, output, checkpoint, before, changed, **options)


def test_an_interrupted_update_resumes_with_its_parts(source, checkpoint, tmp_path, monkeypatch):
    """Committed units are not scored again; another update in its place is refused."""
    output = tmp_path / "o.csv"
    run(source, output, checkpoint, unit_size=2)
    before, changed = rows_of(output), change(source)
    commit = Ledger.commit

    def twice(self, number, *arguments, **keywords):
        if number == 2:
            raise Killed
        commit(self, number, *arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "commit", twice)
        with pytest.raises(Killed):
            run(source, output, checkpoint, update=True, unit_size=2)
    assert rows_of(output) == before
    put(source / "later.jpg", good_jpegs()[0], at=99)
    with pytest.raises(ScoreError, match="unfinished run that differs in the listing"):
        run(source, output, checkpoint, update=True, unit_size=2)
    (source / "later.jpg").unlink()
    assert run(source, output, checkpoint, update=True, unit_size=2).resumed == 4
    check_twin(source, output, checkpoint, before, changed, unit_size=2)


def test_other_settings_are_refused_by_name(source, checkpoint, tmp_path):
    """Another model, threshold or unit size; nothing is touched, one line says the difference."""
    output = tmp_path / "o.csv"
    run(source, output, checkpoint)
    before = output.read_bytes()
    other = make_checkpoint(tmp_path / "other", seed=1)
    for model, options, said in (
        (other, {}, "the checkpoint"),
        (checkpoint, {"unit_size": 7}, "the unit size (20 there, 7 now)"),
        (checkpoint, {"top_k": 1}, "the output top k (None there, 1 now)"),
    ):
        for update in (True, False):
            with pytest.raises(ScoreError) as refused:
                run(source, output, model, update=update, **options)
            assert said in str(refused.value)
            assert "\n" not in str(refused.value)
    assert output.read_bytes() == before


def test_what_cannot_be_updated_is_refused_by_one_line(source, checkpoint, tmp_path):
    """Tars, folders of parts, outputs without stamps or record, changed ones; options alone."""
    output = tmp_path / "o.csv"
    with pytest.raises(ScoreError, match="folder of parts"):
        run(source, tmp_path / "parts", checkpoint, update=True, format="csv")
    with pytest.raises(OptionError, match="update"):
        run(source, output, checkpoint, keep_removed=True)
    run(source, output, checkpoint)
    stamps = tmp_path / "o.csv.files.npy"
    stored = stamps.read_bytes()
    stamps.unlink()
    with pytest.raises(ScoreError, match=r"files\.npy: not found"):
        run(source, output, checkpoint, update=True)
    np.save(stamps, np.zeros(18, [("size", "<i8"), ("mtime_ns", "<i8")]))
    with pytest.raises(ScoreError, match="belongs to other predictions"):
        run(source, output, checkpoint, update=True)
    stamps.write_bytes(b"mine")
    with pytest.raises(ScoreError, match="Move it away"):
        run(source, output, checkpoint, overwrite=True)
    assert stamps.read_bytes() == b"mine"
    stamps.write_bytes(stored)
    with output.open("ab") as file:
        file.write(b"x,ok,,,,,\n")
    with pytest.raises(ScoreError, match="cannot be updated: there is no record"):
        run(source, output, checkpoint, update=True)


def test_tars_are_refused(checkpoint, tmp_path):
    """A tar is not an image file."""
    import tarfile

    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        (tmp_path / "x.jpg").write_bytes(good_jpegs()[0])
        tar.add(tmp_path / "x.jpg", "x.jpg")
    with pytest.raises(ScoreError, match="tars and packed shards are not supported"):
        run(tmp_path / "a.tar", tmp_path / "o.csv", checkpoint, update=True)


def test_errors_of_an_update_count_among_all_rows(source, checkpoint, tmp_path):
    """--max-bad is a share of the whole output, not of the few rows that were scored."""
    output = tmp_path / "o.csv"
    run(source, output, checkpoint)
    put(source / "9.jpg", b"broken", at=3)
    report = run(source, output, checkpoint, update=True, max_bad=0.5)
    assert report.reasons == read_record(record_file(output)).errors
    assert report.errors == 3
