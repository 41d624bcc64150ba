"""Several workers, with fake networks: what comes out, and what happens when workers die."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from engine_doubles import FakeOpener
from score_doubles import make_files, score_fake

from vocscore.errors import DeviceError, ScoreError
from vocscore.scoring.engines.factory import resolve_devices
from vocscore.scoring.engines.processes import ProcessEngine
from vocscore.scoring.output.work_folder import work_folder
from vocscore.workers import processes

pytestmark = pytest.mark.exclusive

NAMES = [f"{i:03d}{'bad' if i % 7 == 3 else ''}.jpg" for i in range(60)]


@pytest.fixture
def source(tmp_path):
    return make_files(tmp_path / "images", NAMES)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out.csv"


@pytest.fixture
def expected(tmp_path, source):
    """The bytes of one process."""
    output = tmp_path / "one.csv"
    score_fake(source, output)
    return output.read_bytes()


@pytest.fixture(autouse=True)
def no_orphans():
    """After each test, whatever happened in it, no worker is left."""
    yield
    assert multiprocessing.active_children() == []


def score_with(openers, source, output, **arguments):
    with closing(ProcessEngine(openers)) as engine:
        return score_fake(source, output, engine=engine, **arguments)


def deaths(folder, number):
    """A folder that lets workers die so many times."""
    folder.mkdir()
    for i in range(number):
        (folder / str(i)).touch()
    return folder


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_bytes_do_not_depend_on_the_number_of_workers(source, output, expected, workers):
    """1, 2 and 3 workers of unlike speed write what one process writes."""
    openers = [FakeOpener(seconds_per_batch=0.001 * i) for i in range(workers)]
    ledger = score_with(openers, source, output)
    assert output.read_bytes() == expected
    assert sum(record.rows for record in ledger.records.values()) == 60
    assert not any(record.problems for record in ledger.records.values())


def test_every_worker_gets_units(source, output):
    """Nobody is idle: with two workers of one speed, two processes have had units."""
    with closing(ProcessEngine([FakeOpener(seconds_per_batch=0.01)] * 2)) as engine:
        seen = [0, 0]

        def look(done, total, errors):
            for i, worker in enumerate(engine.dispatcher.workers):
                seen[i] = max(seen[i], len(worker.items))

        score_fake(source, output, engine=engine, progress=look)
    assert seen == [2, 2]


def test_progress_and_errors_come_together(source, output):
    """Rows and errors of all workers are counted; at the end all are there."""
    seen = []
    openers = [FakeOpener(seconds_per_batch=0.002)] * 2
    score_with(openers, source, output, progress=lambda *counts: seen.append(counts))
    bad = sum("bad" in name for name in NAMES)
    assert seen[-1] == (60, 60, bad)
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert all(total == 60 for _, total, _ in seen)


def test_a_killed_worker_is_replaced_and_its_units_are_scored_again(tmp_path, output):
    """A worker that dies by SIGKILL costs no row; the report says that it happened."""
    source = make_files(tmp_path / "in", [*NAMES, "030kills.jpg"])
    quiet = deaths(tmp_path / "none", 0)
    score_with([FakeOpener(quiet)], source, output)
    whole = output.read_bytes()
    output.unlink()
    twice = deaths(tmp_path / "twice", 2)
    ledger = score_with([FakeOpener(twice)] * 2, source, output)
    assert list(twice.iterdir()) == []
    assert output.read_bytes() == whole
    problems = [line for record in ledger.records.values() for line in record.problems]
    assert "unit 7: a worker died while scoring it (2 times); another worker scored it." in problems


def test_a_worker_is_missed_though_its_pipe_stays_open(tmp_path, output):
    """A child of a dead worker holds its connection: that it is dead is found out all the same."""
    source = make_files(tmp_path / "in", [*NAMES, "030leaves.jpg"])
    once = deaths(tmp_path / "once", 1)
    began = time.monotonic()
    try:
        ledger = score_with([FakeOpener(once)] * 2, source, output)
    finally:
        os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)
    assert time.monotonic() - began < 60
    problems = [line for record in ledger.records.values() for line in record.problems]
    assert "unit 7: a worker died while scoring it (1 times); another worker scored it." in problems


PARENT = """
import os, sys
sys.path[:0] = sys.argv[1:]
from engine_doubles import FakeOpener, leave_a_child
from pathlib import Path
from vocscore.scoring.engines.processes import ProcessEngine

if __name__ == "__main__":
    engine = ProcessEngine([FakeOpener()])
    leave_a_child(Path("child"))
    Path("worker").write_text(str(engine.dispatcher.workers[0].link.process))
    os._exit(0)
"""


def test_a_worker_ends_with_its_parent_though_the_pipe_stays_open(tmp_path):
    """A child of the dead parent holds the connection: the worker finds out all the same."""
    (tmp_path / "parent.py").write_text(PARENT)
    words = [sys.executable, "parent.py", Path(__file__).parent, Path.cwd()]
    subprocess.run(words, cwd=tmp_path, timeout=100, check=True)
    worker = int((tmp_path / "worker").read_text())
    try:
        deadline = time.monotonic() + 30
        while is_running(worker):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


def is_running(process):
    """Whether there is such a process, and not only what is left of it."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_workers_that_do_not_end_are_killed_together(tmp_path, monkeypatch):
    """Closing waits once for all of them, and not for one after the other."""
    monkeypatch.setattr(processes, "_SECONDS_TO_END", 0.5)
    engine = ProcessEngine([FakeOpener()] * 3)
    waits = []
    for worker in engine.dispatcher.workers:
        os.kill(worker.link.process, signal.SIGSTOP)

        def end(within, end=worker.link.end):
            waits.append(within)
            return end(within)

        monkeypatch.setattr(worker.link, "end", end)
    engine.close()
    assert waits[0] > 0
    assert waits[1:] == [0, 0]


def test_workers_killed_at_random_moments_cost_no_row(source, output, expected):
    """Killed from outside again and again, the workers still write what one process writes."""
    chance = random.Random(0)
    kills = []

    def kill(done, total, errors):
        # a unit that was in three deaths would be given up, so those that were in one are spared
        alive = [
            worker.link.process
            for worker in engine.dispatcher.workers
            if worker.items and not engine.dispatcher._deaths.keys() & worker.items
        ]
        if alive and done > 8 * (len(kills) + 1):
            kills.append(chance.choice(alive))
            os.kill(kills[-1], signal.SIGKILL)

    with closing(ProcessEngine([FakeOpener(seconds_per_batch=0.002)] * 3)) as engine:
        ledger = score_fake(source, output, engine=engine, progress=kill)
    assert len(kills) >= 3
    assert output.read_bytes() == expected
    assert len(ledger.records) == 15


def test_a_unit_that_kills_every_worker_is_given_up_and_the_others_are_kept(tmp_path, output):
    """A unit that three workers die of ends the run with one line; parts stay."""
    source = make_files(tmp_path / "in", [*NAMES, "030kills.jpg"])
    with pytest.raises(
        ScoreError, match=r"unit 7: 3 workers died while scoring it \(the last one by SIGKILL"
    ) as e:
        score_with([FakeOpener()] * 2, source, output)
    assert "\n" not in str(e.value)
    kept = len(list(work_folder(output).glob("part-*.csv")))
    assert kept >= 6
    ledger = score_with([FakeOpener(deaths(tmp_path / "none", 0))], source, output)
    assert sum(record.rows for record in ledger.records.values()) == 61


def test_a_worker_that_dies_while_it_loads_is_tried_three_times(tmp_path, source, output, expected):
    """Two deaths at the start are got over; the third is one line."""
    opener = FakeOpener(deaths(tmp_path / "two", 2), dies_at_once=True)
    score_with([opener], source, output)
    assert output.read_bytes() == expected
    with pytest.raises(ScoreError, match=r"cpu: its worker died 3 times \(the last one by SIGKILL"):
        ProcessEngine([FakeOpener(dies_at_once=True)])


def test_a_workers_error_is_the_users_error(tmp_path, output):
    """A known error comes through with its type and line, from loading and from scoring."""
    source = make_files(tmp_path / "in", ["a.jpg", "b-refused.jpg"])
    with pytest.raises(ScoreError) as alone:
        score_with([FakeOpener()], source, output)
    assert str(alone.value) == "b-refused.jpg a.jpg: refused. Use another."
    with pytest.raises(ScoreError, match=r"^model/: damaged. Train again.$"):
        ProcessEngine([FakeOpener(fails_at_once=True)] * 2)


def test_what_nobody_foresaw_comes_with_the_workers_traceback(tmp_path, output):
    """A fault of the program keeps its type and shows where in the worker it was."""
    source = make_files(tmp_path / "in", ["broken.jpg"])
    with pytest.raises(ZeroDivisionError, match="nobody foresaw") as caught:
        score_with([FakeOpener()], source, output)
    assert "engine_doubles.py" in str(caught.value.__cause__)
    source = make_files(tmp_path / "in2", ["unsendable.jpg"])
    with pytest.raises(RuntimeError, match=r"UnsendableError\('onetwo'\)"):
        score_with([FakeOpener()], source, tmp_path / "other.csv")


def test_interrupted_it_leaves_no_process_and_goes_on_with_another_number(source, output, expected):
    """Stopped with two workers, the run is finished by one process, to the same bytes."""

    def stop(done, total, errors):
        if done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_with([FakeOpener(seconds_per_batch=0.002)] * 2, source, output, progress=stop)
    assert multiprocessing.active_children() == []
    kept = len(list(work_folder(output).glob("part-*.csv")))
    assert 0 < kept < 15
    score_fake(source, output)
    assert output.read_bytes() == expected


def test_devices_are_named_by_number_or_cpu():
    """'cpu' may come twice; CPU and GPUs are not mixed; a GPU that is not there is named."""
    assert resolve_devices(["cpu", "cpu"]) == ("cpu", "cpu")
    assert resolve_devices([]) == ()
    with pytest.raises(DeviceError, match="'cuda:99' not found"):
        resolve_devices(["99"])
    with pytest.raises(DeviceError, match="'gpu' is not one of"):
        resolve_devices(["gpu"])


def test_cpu_and_gpus_are_not_mixed(monkeypatch):
    """Rows must not depend on which device had a unit."""
    monkeypatch.setattr("vocscore.runtime.resolve_device", lambda name: name)
    assert resolve_devices(["0", "cuda:1"]) == ("cuda:0", "cuda:1")
    with pytest.raises(ScoreError, match="`devices='0,cpu'`: CPU and GPU results differ"):
        resolve_devices(["0", "cpu"])
