"""How many cores may be used."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from shards.images import budget
from vocscore import machine
from vocscore.machine import (
    bound_images,
    peak_memory,
    processes_here,
    set_too_late,
    settle_threads,
    usable_cores,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """An affinity of eight cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("limit", "expected"), [("max 100000", 8), ("150000 100000", 2), ("10000 100000", 1)]
)
def test_a_containers_quota_limits_the_cores(limit: str, expected: int, tmp_path: Path) -> None:
    """A quota of 1.5 cores counts as 2, a tenth of one as 1, none as all of the affinity."""
    (tmp_path / "cpu.max").write_text(limit)
    assert usable_cores(tmp_path, tmp_path / "absent") == expected


@pytest.mark.usefixtures("eight")
def test_the_smallest_quota_of_the_groups_around_a_process_counts(tmp_path: Path) -> None:
    """As a service manager or a batch system nests them, without a container."""
    group = tmp_path / "batch.slice" / "job-7"
    group.mkdir(parents=True)
    (group / "cpu.max").write_text("max 100000")
    (group.parent / "cpu.max").write_text("300000 100000")
    own = tmp_path / "own"
    own.write_text("0::/batch.slice/job-7\n")
    assert usable_cores(tmp_path, own) == 3


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(("quota", "expected"), [("250000", 3), ("-1", 8)])
def test_a_quota_of_the_first_version_counts(quota: str, expected: int, tmp_path: Path) -> None:
    """Its files are in a folder of their own, in a container directly."""
    folder = tmp_path / "cpu,cpuacct"
    folder.mkdir()
    (folder / "cpu.cfs_quota_us").write_text(quota)
    (folder / "cpu.cfs_period_us").write_text("100000")
    own = tmp_path / "own"
    own.write_text("4:memory:/docker/5f\n2:cpu,cpuacct:/docker/5f\n0::/\n")
    assert usable_cores(tmp_path, own) == expected


def test_without_control_groups_the_affinity_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without the file uses its affinity."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 3, 5})
    assert usable_cores(tmp_path, tmp_path / "absent") == 3


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(("cores", "number"), [(3, "3"), (8, None)])
def test_a_quota_limits_the_libraries_threads(
    cores: int, number: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would start one per core of the affinity; without a quota nothing is set."""
    monkeypatch.setattr("vocscore.machine.usable_cores", lambda: cores)
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.delenv("OMP_NUM_THREADS")
    settle_threads()
    assert os.environ.get("OMP_NUM_THREADS") == number
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    settle_threads()
    assert os.environ["OMP_NUM_THREADS"] == "5"


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the threads are made where there are none, and only there."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.delenv("MKL_CBWR", raising=False)
    settle_threads()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    assert os.environ["MKL_CBWR"] == "AUTO,STRICT"
    monkeypatch.delenv("MKL_CBWR")


def test_what_is_set_behind_torch_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only variables that were not set before; without torch nothing is too late."""
    before = set_too_late()
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    settle_threads()
    assert set_too_late() == before
    monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr("vocscore.machine._late", [])
    settle_threads()
    assert set_too_late() == ("OMP_WAIT_POLICY",)


def test_the_import_sets_what_the_command_line_sets_and_loads_nothing_large() -> None:
    """Threads and telemetry are settled before anything else can load torch."""
    lines = (
        "import os, sys, vocscore",
        "assert os.environ['MKL_CBWR'] == 'AUTO,STRICT'",
        "assert os.environ['OMP_WAIT_POLICY'] == 'PASSIVE'",
        "assert os.environ['DO_NOT_TRACK'] == '1'",
        "large = {'torch', 'numpy', 'PIL', 'openvino', 'pandas', 'click'} & sys.modules.keys()",
        "assert not large, large",
        "assert {'load', 'Model'} <= set(dir(vocscore))",
    )
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, env=kept)


@pytest.fixture
def _limits() -> Iterator[None]:
    """The limits of this process, as they were."""
    yield
    budget.set_limit(budget.LIMIT)


@pytest.mark.usefixtures("_limits")
def test_processes_share_the_memory_for_images() -> None:
    """Three quarters of a share are for pixels; a share is never nothing."""
    bound_images(1024, processes=4)
    assert (budget.FILES.limit, budget.PIXELS.limit) == (64 << 20, 192 << 20)
    bound_images(1, processes=1 << 30)
    assert budget.PIXELS.limit == 1


def test_processes_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as its cores are enough for, at least the one that asks."""
    monkeypatch.setattr("vocscore.machine.usable_cores", lambda: 16)
    assert [processes_here(cores) for cores in (1, 4, 5, 16, 64)] == [16, 4, 3, 1, 1]


def _large(size: int, ready: Connection) -> None:
    held = bytearray(b"1" * size)
    ready.send(len(held))
    ready.recv()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of other processes")
def test_the_peak_of_a_process_that_works_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of workers does when the summary is made."""
    peak = machine._peak_of
    monkeypatch.setattr(machine, "_peak_of", lambda who: 1 if who == "self" else peak(who))
    nothing = SimpleNamespace(ru_maxrss=0)
    monkeypatch.setattr("vocscore.machine.resource.getrusage", lambda _who: nothing)
    assert peak_memory() == 1
    size = 256 << 20
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_large, args=(size, there))
    process.start()
    try:
        assert here.recv() == size
        assert peak_memory() >= size
    finally:
        here.send(None)
        process.join(20)


PEAK = "from vocscore.machine import peak_memory; print(peak_memory())"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of the program alone")
def test_the_program_that_starts_this_one_does_not_count() -> None:
    """A small process of a large one is small, though the system's own figure is not."""
    held = bytearray(b"1" * (300 << 20))
    words = [sys.executable, "-c", PEAK]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert 1 << 20 < int(done.stdout) < len(held)
