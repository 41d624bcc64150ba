from __future__ import annotations

import csv
import io
import os
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
from score_doubles import (
    CLASSES,
    Answered,
    FakeForward,
    FakeLoader,
    answer,
    is_bad,
    make_files,
    score_fake,
)

from vocscore.errors import ScoreError
from vocscore.scoring.engines.unit_results import RowsError
from vocscore.scoring.output.work_folder import work_folder

NAMES = [f"{i // 5}/{i:02d}{'bad' if i % 4 == 1 else ''}.jpg" for i in range(22)]


@pytest.fixture
def source(tmp_path):
    return make_files(tmp_path / "in", NAMES)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out.csv"


def read(output):
    with output.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def check(output, names):
    """Every name once, in order, beside its own probabilities or its own error."""
    rows = read(output)
    assert [row["path"] for row in rows] == names
    for row in rows:
        if is_bad(row["path"]):
            assert (row["status"], row["error"]) == ("error", "corrupt: it is bad")
            assert not any(row[name] for name in CLASSES)
        else:
            assert row["status"] == "ok"
            found = np.array([row[name] for name in CLASSES], np.float32)
            assert np.array_equal(found, answer(row["path"]))


def test_every_input_is_a_row_beside_its_own_name(source, output):
    """As many rows as inputs, sorted, good and bad."""
    score_fake(source, output)
    check(output, sorted(NAMES))


@pytest.mark.parametrize("batch_size", [1, 4, 7, 100])
@pytest.mark.parametrize("unit_size", [1, 2, 11, 22, 23])
def test_bytes_do_not_depend_on_batches_and_units(source, output, batch_size, unit_size):
    """Rows are the same whatever the batch size and the unit size."""
    score_fake(source, output, loader=FakeLoader(batch_size), unit_size=unit_size)
    check(output, sorted(NAMES))


def test_a_run_goes_on_where_it_stopped(source, output):
    """Only the units that were not committed are decoded again; the bytes are the same."""
    score_fake(source, output)
    whole = output.read_bytes()
    output.unlink()

    class Stops(FakeForward):
        units = 0

        def flush(self):
            self.units += 1
            if self.units == 4:
                raise KeyboardInterrupt
            return iter(())

    with pytest.raises(KeyboardInterrupt):
        score_fake(source, output, forward=Stops())
    assert not output.exists()
    loader = FakeLoader(3)
    score_fake(source, output, loader=loader)
    assert [len(names) for names in loader.asked] == [4, 4, 2]  # 22 files, 12 were committed
    assert output.read_bytes() == whole
    assert not work_folder(output).exists()


def broken(change):
    """A loader whose batches are changed on their way."""

    class Broken(FakeLoader):
        def batches(self, images, **arguments):
            for batch in super().batches(images, **arguments):
                yield change(batch)

    return Broken(3)


def without_first(batch):
    return SimpleNamespace(images=batch.images[1:], rows=batch.rows[1:], failures=batch.failures)


def with_first_twice(batch):
    images, rows = [*batch.images, batch.images[0]], np.append(batch.rows, batch.rows[0])
    return SimpleNamespace(images=images, rows=rows, failures=batch.failures)


def without_failures(batch):
    return SimpleNamespace(images=batch.images, rows=batch.rows, failures=())


@pytest.mark.parametrize("change", [without_first, with_first_twice, without_failures])
def test_a_loader_that_loses_or_doubles_a_row_stops_the_run_loudly(source, output, change):
    """A lost or doubled row is never written around: the run ends with RowsError."""
    with pytest.raises(RowsError):
        score_fake(source, output, loader=broken(change))
    assert not output.exists()


def test_a_network_that_loses_a_row_stops_the_run_loudly(source, output):
    """The network's side is counted, too."""

    class Loses(FakeForward):
        def feed(self, batch):
            for pending in super().feed(batch):
                yield Answered(pending.rows[1:], pending.probabilities[1:])

    with pytest.raises(RowsError):
        score_fake(source, output, forward=Loses())


def test_a_loader_that_fails_ends_the_run_and_keeps_the_units(source, output):
    """What the loader raises comes through; units before it are kept."""

    class Fails(FakeLoader):
        def batches(self, images, **arguments):
            if len(self.asked) == 2:
                raise RuntimeError("out of order")
            yield from super().batches(images, **arguments)

    with pytest.raises(RuntimeError, match="out of order"):
        score_fake(source, output, loader=Fails(3))
    assert len(list(work_folder(output).glob("part-*.csv"))) == 2


def test_odd_names_come_back(tmp_path, output):
    """Names with commas, quotes, line ends and foreign bytes come back through csv.reader."""
    names = ["a,b.jpg", 'q"q.jpg', "l\nl.jpg", "r\rr.jpg", "=x.jpg", os.fsdecode(b"caf\xe9.jpg")]
    score_fake(make_files(tmp_path / "in", names), output)
    check(output, sorted(names))


def test_progress_counts_rows_errors_and_what_an_earlier_run_did(source, output):
    """Progress rises to (all, all, errors), and starts at what was done before."""
    seen = []

    def stop(done, total, errors):
        seen.append((done, total, errors))
        if done >= 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_fake(source, output, progress=stop)
    again = []
    score_fake(source, output, progress=lambda *counts: again.append(counts))
    bad = sum(map(is_bad, NAMES))
    assert again[-1] == (22, 22, bad)
    assert again[0][0] == 8  # two units of 4 were committed
    assert all(total == 22 for _, total, _ in seen + again)
    assert [done for done, _, _ in again] == sorted(done for done, _, _ in again)


def test_tars_and_their_damage(tmp_path, output):
    """A broken tar is a row, a cut one a problem in its part; progress ends at the true number."""
    folder = tmp_path / "tars"
    folder.mkdir()
    for number in range(3):
        with tarfile.open(folder / f"{number}.tar", "w") as tar:
            for name in ("a.jpg", "b.jpg", "bad.png"):
                info = tarfile.TarInfo(name)
                info.size = 1000
                tar.addfile(info, io.BytesIO(b"\xff\xd8\xff".ljust(1000)))
    (folder / "1.tar").write_bytes(b"no tar" * 500)
    (folder / "2.tar").write_bytes((folder / "2.tar").read_bytes()[:2500])
    seen = []
    ledger = score_fake(folder, output, progress=lambda *counts: seen.append(counts))
    rows = read(output)
    assert [row["path"] for row in rows[:4]] == [
        "0.tar/a.jpg",
        "0.tar/b.jpg",
        "0.tar/bad.png",
        "1.tar",
    ]
    assert [row["status"] for row in rows[:4]] == ["ok", "ok", "error", "error"]
    assert all(row["path"].startswith("2.tar/") for row in rows[4:])
    assert [bool(ledger.records[n].problems) for n in range(3)] == [False, False, True]
    assert ledger.records[1].errors == {"corrupt": 1}
    assert seen[-1] == (len(rows), len(rows), sum(row["status"] == "error" for row in rows))


def test_tars_without_any_image_are_an_error(tmp_path, output):
    """No row at all is an error that says what was looked for, and leaves nothing behind."""
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("a.txt"))
    with pytest.raises(ScoreError, match="no image in 1 tars"):
        score_fake(tmp_path / "a.tar", output)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar"]
