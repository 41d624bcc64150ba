"""Packing in units: the bytes of one process, in any order of the work, and after any stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pack_pools import ShufflingPool, StoppedError, small_units
from small_sets import content, image_bytes, pack_small, small_set

import shards.packing.packer
from shards.errors import PackError
from shards.packing.units import CheckUnit
from shards.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from shards.sample import AnnotatedSet


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


def stopped(folder: Path, *, stop: int, **changes: Any) -> AnnotatedSet:
    """A set of 14 images whose packing was stopped after this number of units."""
    annotated = small_set(folder / "in", bad=(4, 9))
    with pytest.raises(StoppedError):
        pack_small(annotated, folder / "out", max_bad=1, pool=in_order(stop=stop), **changes)
    return annotated


def in_order(*, stop: int | None = None) -> ShufflingPool:
    """A pool that does one unit after the other."""
    return ShufflingPool(hands=1, stop=stop)


@pytest.mark.parametrize("how", ["half a line", "a damaged line", "another plan", "no file"])
def test_verdicts_that_cannot_be_used_are_found_again(how: str, tmp_path: Path) -> None:
    """What the file does not say in a whole line, on this very plan, is checked again."""
    annotated = stopped(tmp_path, stop=2)  # two units are checked
    file = tmp_path / "out" / ".progress" / "checked.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) == 3
    if how == "half a line":
        lines[2] = lines[2][:-9]
    elif how == "a damaged line":
        lines[1] = lines[1].replace(b'"unit"', b'"tinu"')
    elif how == "another plan":
        lines[0] = lines[0].replace(b"a", b"b")
    file.write_bytes(b"".join(lines))
    if how == "no file":
        file.unlink()
    pool = in_order()
    pack_small(annotated, tmp_path / "out", max_bad=1, pool=pool)
    left = sum(isinstance(unit, CheckUnit) for unit in pool.done)
    assert left == {"half a line": 7, "a damaged line": 8, "another plan": 8, "no file": 8}[how]
    pack_small(annotated, tmp_path / "alone", max_bad=1)
    assert content(tmp_path / "out") == content(tmp_path / "alone")


def test_made_images_that_are_gone_are_made_again(tmp_path: Path) -> None:
    """Without the bytes that were made of its images, a unit counts as unchecked."""
    annotated = stopped(tmp_path, stop=2, resize=8)
    (first, second) = sorted((tmp_path / "out" / ".progress").glob("made-*"))
    second.unlink()
    pool = in_order()
    pack_small(annotated, tmp_path / "out", max_bad=1, resize=8, pool=pool)
    assert [unit.number for unit in pool.done if isinstance(unit, CheckUnit)] == [*range(1, 8)]
    assert not first.exists()
    pack_small(annotated, tmp_path / "alone", max_bad=1, resize=8)
    assert content(tmp_path / "out") == content(tmp_path / "alone")


def test_made_images_are_removed_as_soon_as_their_shards_are_finished(tmp_path: Path) -> None:
    """The bytes of a set do not lie on the disk twice."""
    stopped(tmp_path, stop=6, resize=8)  # checked 0 to 5, written 0 to 4
    assert (tmp_path / "out" / "train-000000.tar").exists()
    made = sorted(p.name[:11] for p in (tmp_path / "out" / ".progress").glob("made-*"))
    shards = len(list((tmp_path / "out").glob("*.tar")))
    assert shards + len(made) < 6


@pytest.mark.parametrize("how", ["other", "gone"])
def test_an_image_that_changes_after_its_check_ends_the_run(how: str, tmp_path: Path) -> None:
    """No shard ever holds bytes that were not checked: one line names the image."""
    annotated = small_set(tmp_path / "in")
    pool = in_order()
    file = tmp_path / "in" / "001.jpg"

    def change(number: int) -> None:
        if number == 0 and how == "gone":
            file.unlink()
        elif number == 0:
            file.write_bytes(image_bytes(99))

    pool.after = change
    with pytest.raises(PackError, match=r"^001\.jpg: has changed since it was checked .*overwrite"):
        pack_small(annotated, tmp_path / "out", pool=pool)


def test_a_source_that_a_machine_does_not_see_is_no_set_of_bad_images(tmp_path: Path) -> None:
    """A worker without the source refuses to begin; one that loses it stops."""
    annotated = small_set(tmp_path / "in")
    pool = in_order()
    pool.after = lambda _number: (tmp_path / "in").rename(tmp_path / "elsewhere")
    with pytest.raises(PackError, match=r"in: is gone\. Finished units are kept"):
        pack_small(annotated, tmp_path / "out", max_bad=1, pool=pool)
    with pytest.raises(PackError, match="in: no such folder"):
        pack_small(annotated, tmp_path / "other", max_bad=1, pool=pool)


def test_too_many_bad_images_are_found_as_without_units(tmp_path: Path) -> None:
    """Above --max-bad the run fails at its end; a rerun with a higher limit has nothing to do."""
    annotated = small_set(tmp_path / "in", images=20, bad=(2, 11, 19))
    with pytest.raises(PackError, match=r"3 of 20 images \(15.0%\) cannot be used \(3 truncated\)"):
        pack_small(annotated, tmp_path / "out", max_bad=0.14, pool=in_order())
    again = in_order()
    pack_small(annotated, tmp_path / "out", max_bad=0.15, pool=again)
    assert again.done == []
    with pytest.raises(PackError, match="split 'val': none of its 2 images can be used"):
        pack_small(
            small_set(tmp_path / "few", images=6, bad=(4, 5)),
            tmp_path / "none",
            max_bad=1,
            pool=in_order(),
        )


def test_progress_counts_checked_images_then_written_ones(tmp_path: Path) -> None:
    """Each stage counts up to the number of images; rejected ones are never counted twice."""
    told: list[Any] = []
    annotated = stopped(tmp_path, stop=5)
    pack_small(
        annotated,
        tmp_path / "out",
        max_bad=1,
        pool=ShufflingPool(7),
        progress=lambda *counts: told.append(counts),
        stage=told.append,
    )
    assert told[0] == "checking"
    cut = told.index("writing")
    for counts in (told[1:cut], told[cut + 1 :]):
        assert counts == sorted(counts)
        assert counts[-1] == (14, 14, 2)
    assert told[1][0] >= 6
