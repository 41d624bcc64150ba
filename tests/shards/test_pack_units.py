"""Packing in units: the bytes of one process, in any order of the work, and after any stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pack_pools import ShufflingPool, StoppedError, small_units
from small_sets import content, pack_small, small_set

import shards.packing.packer
from shards.packing.units import CheckUnit
from shards.verify import verify

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def units(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units of two images, so that small sets have many."""
    small_units(monkeypatch)


CASES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "unverified": {"verify": False},
    "resized": {"resize": 8},
    "one image per shard": {"shard_samples": 1},
    "one shard": {"shard_samples": 100},
}


@pytest.mark.parametrize("name", CASES)
def test_units_give_the_bytes_of_one_process(name: str, tmp_path: Path) -> None:
    """Whatever the options, and in whatever order units finish, a set has the same bytes."""
    annotated = small_set(tmp_path / "in", images=23, bad=(0, 4, 9, 14, 22))
    changes = {"max_bad": 1, **CASES[name]}
    alone = pack_small(annotated, tmp_path / "alone", **changes)
    for seed in range(3):
        out = tmp_path / f"out{seed}"
        report = pack_small(annotated, out, pool=ShufflingPool(seed, threads=2), **changes)
        assert content(out) == content(tmp_path / "alone")
        assert report == alone
    assert verify(tmp_path / "out0", decode=name != "unverified") == []


@pytest.mark.parametrize("resize", [None, 8])
def test_stopped_after_any_unit_it_goes_on_in_any_way(resize: int | None, tmp_path: Path) -> None:
    """After every number of units, a pool or one process goes on, to the same bytes."""
    annotated = small_set(tmp_path / "in", images=14, bad=(4, 9))
    changes = {"max_bad": 1, "resize": resize}
    pack_small(annotated, tmp_path / "alone", **changes)
    whole = ShufflingPool(1)
    pack_small(annotated, tmp_path / "whole", pool=whole, **changes)
    assert len(whole.done) == 13  # 8 to check, 5 shards
    for stop in range(len(whole.done)):
        for other in (ShufflingPool(2, hands=2), None):
            out = tmp_path / f"out{stop}{other is None}"
            with pytest.raises(StoppedError):
                pack_small(annotated, out, pool=ShufflingPool(1, stop=stop), **changes)
            assert not (out / "dataset.json").exists()
            pack_small(annotated, out, pool=other, **changes)
            assert content(out) == content(tmp_path / "alone")
            if other is not None:  # what was checked stays; shards are committed in order
                checked = sum(isinstance(unit, CheckUnit) for unit in other.done)
                assert checked == 8 - sum(isinstance(u, CheckUnit) for u in whole.done[:stop])


@pytest.mark.parametrize(("shards_before", "left"), [(1, 7), (2, 5), (3, 3), (4, 1)])
def test_a_pool_continues_what_one_process_began(
    shards_before: int, left: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards that a run without workers has finished stay, and only the rest is checked."""
    annotated = small_set(tmp_path / "in", images=14, bad=(4, 9))
    real, commits = shards.packing.packer.ShardWriter.commit, shards_before

    def commit(self: Any, folder: Path) -> None:
        nonlocal commits
        commits -= 1
        if commits < 0:
            raise KeyboardInterrupt
        real(self, folder)

    monkeypatch.setattr(shards.packing.packer.ShardWriter, "commit", commit)
    with pytest.raises(KeyboardInterrupt):
        pack_small(annotated, tmp_path / "out", max_bad=1)
    monkeypatch.undo()
    small_units(monkeypatch)
    inodes = {path.name: path.stat().st_ino for path in (tmp_path / "out").glob("*.tar")}
    assert len(inodes) == shards_before
    pool = ShufflingPool(3)
    pack_small(annotated, tmp_path / "out", max_bad=1, pool=pool)
    assert inodes.items() <= {
        (path.name, path.stat().st_ino) for path in (tmp_path / "out").glob("*.tar")
    }
    assert sum(isinstance(unit, CheckUnit) for unit in pool.done) == left
    pack_small(annotated, tmp_path / "alone", max_bad=1)
    assert content(tmp_path / "out") == content(tmp_path / "alone")
