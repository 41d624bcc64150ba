"""How many cores may be used."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from vocscore.machine import settle_threads, usable_cores

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("limit", "expected"), [("max 100000", 8), ("150000 100000", 2), ("10000 100000", 1)]
)
def test_a_containers_quota_limits_the_cores(
    limit: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota of 1.5 cores counts as 2, a tenth of one as 1, none as all of the affinity."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))
    (tmp_path / "cpu.max").write_text(limit)
    assert usable_cores(tmp_path / "cpu.max") == expected


def test_without_control_groups_the_affinity_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without the file uses its affinity."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 3, 5})
    assert usable_cores(tmp_path / "absent") == 3


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the threads are made where there are none, and only there."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.delenv("MKL_CBWR", raising=False)
    settle_threads()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    assert os.environ["MKL_CBWR"] == "AUTO,STRICT"
    monkeypatch.delenv("MKL_CBWR")
