"""The commit of one unit among several processes: one mark, whatever the others do."""

from __future__ import annotations

import os
import random
import threading
from contextlib import ExitStack

import pytest

from vocscore.errors import ScoreError
from vocscore.scoring.inputs.units import LooseFiles
from vocscore.scoring.jobs.stores import open_store
from vocscore.scoring.output.ledger import Ledger
from vocscore.scoring.output.marked_run import LeftBehindError
from vocscore.scoring.output.marks import BAD, FEATURES, PART, STAMPS, Mark, Stored
from vocscore.scoring.output.posix_files import PosixFiles
from vocscore.scoring.output.unit_record import UnitRecord
from vocscore.scoring.output.verified import DamagedPartError
from vocscore.scoring.output.work_folder import work_folder

PLAN = {"parts": "marks", "checkpoint": "a" * 64}
INPUTS = LooseFiles("/in", ["a.jpg", "b.jpg"])


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out.csv"


def begun(output, plan=PLAN, files=None):
    """A process of the run: its ledger and its store."""
    store = open_store(output)
    if files is not None:
        store = type(store)(files, store.publisher, place=str(output), suffix=".csv")
    ledger = Ledger(store)
    with ExitStack() as held:
        store.hold(held)
        if store.plan() is None:
            store.run.freeze(INPUTS)
        ledger.begin(plan, overwrite=False, discard=False)
    return ledger, store


def commit(ledger, number, text=None, **more):
    data = (text or f"{number}\n").encode()
    ledger.commit(number, UnitRecord(1), lambda file: file.write(data), **more)


def join(file, parts):
    for part in parts:
        file.write(part.read_bytes())


class Lossy(PosixFiles):
    """Every create is applied, but its answer is lost: the repeated request finds its own file."""

    def create(self, name, data):
        return super().create(name, data) and not name.startswith("mark-")


class Conflicting(PosixFiles):
    """Creates answer 'exists' some times, though nobody has won."""

    left = 2

    def create(self, name, data):
        if name.startswith("mark-") and self.left:
            self.left -= 1
            return False
        return super().create(name, data)


def test_a_mark_covers_everything_of_a_unit():
    """Rows, bad inputs, stamps and features, each with its hash and its size."""
    roles = {PART: b"rows", BAD: b"bad", STAMPS: b"", FEATURES: b"features"}
    files = {role: Stored.of(role, 5, data, ".x") for role, data in roles.items()}
    mark = Mark(UnitRecord(2, {"empty": 1}, ("cut",), {"txt": 3}), files, attempt="1")
    assert Mark.from_bytes(mark.to_bytes()) == mark
    assert {one.size for one in mark.files.values()} == {4, 3, 0, 8}
    assert files[PART].name == f"part-000005-{files[PART].sha256[:16]}.x"


def test_the_first_mark_stands_and_unequal_bytes_are_counted(output):
    """A slower process with the same bytes is a duplicate; one with others is reported."""
    one, _ = begun(output)
    two, second = begun(output)
    commit(one, 0, "x")
    commit(two, 0, "x")
    assert not second.others
    commit(one, 1, "x")
    two.commit(1, UnitRecord(9), lambda file: file.write(b"y"))
    assert second.others == [1]
    assert two.records[1] == UnitRecord(1)  # theirs
    merging, store = begun(output)
    assert store.different() == [1]
    merging.merge(2, join)
    assert output.read_bytes() == b"xx"
    assert [path.name for path in output.parent.iterdir()] == ["out.csv"]


def test_an_answer_that_was_lost_is_no_other_process(output):
    """Who finds its own mark has committed, also with the bytes of nobody else."""
    ledger, store = begun(output, files=Lossy(work_folder(output)))
    for number in range(5):
        commit(ledger, number)
    assert not store.others
    assert sorted(store.committed()) == [0, 1, 2, 3, 4]


def test_a_conflict_that_nobody_won_is_tried_again(output, monkeypatch):
    """'Exists' without a mark is not taken for a commit; later tries wait."""
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    ledger, store = begun(output, files=Conflicting(work_folder(output)))
    commit(ledger, 0)
    assert store.is_committed(0)
    files = Conflicting(work_folder(output))
    files.left = 100
    ledger, _ = begun(output, files=files)
    with pytest.raises(ScoreError, match="keep its name busy"):
        commit(ledger, 1)
    assert sum(waits[-5:]) > 5


def test_a_mark_of_an_earlier_run_is_none_of_this_one(output):
    """A process that slept through the merge and wakes up marks nothing of the next run."""
    zombie, _ = begun(output)
    one, _ = begun(output)
    commit(one, 0, "old")
    one.merge(1, join)
    output.unlink()
    two, store = begun(output)
    commit(zombie, 0, "stale")
    assert not store.committed()
    commit(two, 0, "new")
    two.merge(1, join)
    assert output.read_bytes() == b"new"


def test_who_is_late_is_told_that_nothing_is_left(output):
    """The parts are gone because they were merged: one line, which a job takes as its end."""
    late, _ = begun(output)
    one, _ = begun(output)
    commit(one, 0)
    one.merge(1, join)
    with pytest.raises(LeftBehindError, match="nothing is left to do"):
        commit(late, 0)


@pytest.mark.parametrize("how", ["cut", "changed", "gone"])
def test_a_damaged_part_is_never_merged_but_scored_again(output, how):
    """Hash and size are checked while joining; the marks of all damaged parts are withdrawn."""
    ledger, store = begun(output)
    for number in range(4):
        commit(ledger, number, f"{number}" * 9)
    for part in (
        *work_folder(output).glob("part-000001-*"),
        *work_folder(output).glob("part-0*3-*"),
    ):
        if how == "gone":
            part.unlink()
        else:
            part.write_bytes(b"1" * 8 if how == "cut" else b"x" * 9)
    with pytest.raises(DamagedPartError) as caught:
        ledger.merge(4, join)
    assert caught.value.numbers == [1, 3]
    assert not output.exists()
    assert sorted(store.committed()) == [0, 2]
    again, _ = begun(output)
    assert sorted(again.records) == [0, 2]
    commit(again, 1, "1" * 9)
    commit(again, 3, "3" * 9)
    again.merge(4, join)
    assert output.read_bytes() == b"".join(b"%d" % n * 9 for n in range(4))


def test_one_of_many_creates_a_file(tmp_path):
    """Of 8 threads that create one name 50 times, one is told so each time; its bytes are there."""
    files = [PosixFiles(tmp_path / "f") for _ in range(8)]
    files[0].open()
    wins = []
    gate = threading.Barrier(8)

    def race(mine, who):
        for turn in range(50):
            gate.wait()
            if mine.create(f"n{turn}", str(who).encode()):
                wins.append((turn, who))

    threads = [threading.Thread(target=race, args=(mine, who)) for who, mine in enumerate(files)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(turn for turn, _ in wins) == list(range(50))
    assert all(files[0].read(f"n{turn}") == str(who).encode() for turn, who in wins)
    assert sorted(files[0].names()) == sorted(f"n{turn}" for turn in range(50))
    assert len(list((tmp_path / "f").iterdir())) == 50  # nothing temporary


def test_many_processes_that_overlap_give_each_row_once(output):
    """4 workers in random order, half of them with lost answers, some with other bytes."""
    begun(output)
    committed: list[int] = []

    def work(seed):
        chance = random.Random(seed)
        files = (Lossy if seed % 2 else PosixFiles)(work_folder(output))
        ledger, store = begun(output, files=files)
        numbers = list(range(40))
        chance.shuffle(numbers)
        for number in numbers:
            if chance.random() < 0.8 and not store.is_committed(number):
                other = chance.random() < 0.2
                commit(ledger, number, f"{number} {seed if other else ''}\n")
                committed.append(number)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    last, store = begun(output)
    for number in set(range(40)) - store.committed():
        commit(last, number)
    merging, _ = begun(output)
    merging.merge(40, join)
    rows = output.read_text().splitlines()
    assert [int(row.split()[0]) for row in rows] == list(range(40))
    assert committed


def test_a_file_system_without_links_is_refused(output, monkeypatch):
    """Nothing else gives a name to one process only, so no job begins there."""

    def link(*_arguments, **_named):
        raise OSError(95, os.strerror(95))

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(ScoreError, match=r"has no links .*another file system"):
        begun(output)


def test_another_plan_is_refused_with_the_difference_and_a_cure(output):
    """Neither is it discarded: other jobs may be at work."""
    one, _ = begun(output)
    commit(one, 0)
    with pytest.raises(ScoreError, match=r"differs in the checkpoint \(a+ there, b+ now\)") as said:
        begun(output, {**PLAN, "checkpoint": "b" * 64})
    assert "--overwrite" not in str(said.value)
    assert str(work_folder(output)) in str(said.value)


def test_of_two_that_begin_at_once_one_is_the_run(output):
    """Both score into the same run, and the plan that lost is compared with the one that stands."""
    store = open_store(output)
    with ExitStack() as held:
        store.hold(held)
        store.run.freeze(INPUTS)
        begun(output)  # faster than the plan of `store`
        ledger = Ledger(store)
        store.begin({"format": 1, **PLAN})
        ledger.begin(PLAN, overwrite=False, discard=False)
    commit(ledger, 0)
    other, _ = begun(output)
    assert list(other.records) == [0]
    with pytest.raises(ScoreError, match="differs in the checkpoint"):
        begun(output, {**PLAN, "checkpoint": "b" * 64})
