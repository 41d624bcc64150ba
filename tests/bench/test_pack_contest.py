"""The contest of packing: its proof notices what it must, and its verdicts say what is true."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import bench.pack
from bench.pack import DECODE, SYNCED_TAR, TAR, UNVERIFIED, VERIFIED, make_tree, prove_equal
from shards.sample import ImageRef
from shards.synthetic.voc import draw_photo

if TYPE_CHECKING:
    from pathlib import Path

    from bench.contests import Options


@pytest.fixture
def photos(tmp_path: Path) -> list[ImageRef]:
    """Six small photographs in a folder."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(6):
        (folder / f"{seed}.jpg").write_bytes(draw_photo(80, 60, seed=seed))
    return [ImageRef(file.name, str(file)) for file in sorted(folder.iterdir())]


def test_every_contestant_has_a_rate_and_every_goal_a_line(options: Options) -> None:
    """Medians of `repeats` rounds, a line for each goal that agrees with them, nothing left."""
    (outcome,) = bench.pack.run(replace(options, repeats=2, images=6))
    assert {VERIFIED, UNVERIFIED, TAR, SYNCED_TAR, DECODE} < set(outcome.rates)
    assert all(len(rate.values) == 2 for rate in outcome.rates.values())
    share = outcome.rates[UNVERIFIED].median / outcome.rates[TAR].median
    held = "held" if share >= 0.5 else "MISSED"
    assert (
        f"vocscore pack --no-verify: {share:.2f} of the rate of 'tar cf' (at least 0.5: {held})"
        in outcome.lines
    )
    assert outcome.best_peer == TAR
    assert not (options.scratch / "pack").exists()


@pytest.mark.parametrize("which", ["pack", "tar"])
def test_other_bytes_are_no_contest(
    which: str, photos: list[ImageRef], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A contestant that stores something else than the images is named, and nothing is timed."""
    real = getattr(bench.pack, f"_{which}")

    def swap(tree: Path, *rest: object, **options: object) -> None:
        file = tree / "JPEGImages" / "0.jpg"
        kept = file.read_bytes()
        file.unlink()
        file.write_bytes(draw_photo(80, 60, seed=9))
        real(tree, *rest, **options)
        file.write_bytes(kept)

    monkeypatch.setattr(bench.pack, f"_{which}", swap)
    with pytest.raises(ValueError, match=f"{which} holds other bytes of JPEGImages/0.jpg"):
        prove_equal(make_tree(photos, tmp_path / "tree"), photos, scratch=tmp_path)


def test_an_image_too_few_is_no_contest(
    photos: list[ImageRef], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A contestant that leaves an image out is named."""
    real = bench.pack._pack

    def lose(tree: Path, *rest: object, **options: object) -> None:
        (tree / "JPEGImages" / "0.jpg").unlink(missing_ok=True)
        (tree / "Annotations" / "0.xml").unlink(missing_ok=True)
        real(tree, *rest, **options)

    monkeypatch.setattr(bench.pack, "_pack", lose)
    with pytest.raises(ValueError, match="pack holds 5 images, not the 6"):
        prove_equal(make_tree(photos, tmp_path / "tree"), photos, scratch=tmp_path)
