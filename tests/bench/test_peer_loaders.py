"""The contestants of `python -m bench loaders`."""

from __future__ import annotations

import multiprocessing
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from peer_doubles import Scripted, make_task, plain_levels
from PIL import Image

from bench.loaders import CONTESTANTS, HOST, LARGEST_MEAN_DIFFERENCE, USUAL, compare_loaders
from bench.peers.agreement import gray_levels, mean_difference, turn
from bench.peers.opencv import open_opencv
from bench.peers.spdl_pipeline import open_spdl
from bench.peers.task import AbsentError, open_or_say
from bench.peers.webdataset_tars import write_tars
from shards.sample import ImageRef
from shards.synthetic.voc import draw_photo

if TYPE_CHECKING:
    from bench.peers.task import Loader, Task

IMAGES = 10


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[ImageRef]:
    """Ten different small photographs; their number is no multiple of a batch."""
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(IMAGES):
        (folder / f"{seed}.jpg").write_bytes(draw_photo(320 + 8 * seed, 240, seed=seed))
    return [ImageRef(file.name, str(file)) for file in sorted(folder.iterdir())]


def opened(name: str, task: Task) -> Loader:
    loader = open_or_say(lambda: CONTESTANTS[name](task))
    if isinstance(loader, str):
        pytest.skip(loader)
    return loader


@pytest.mark.parametrize("name", CONTESTANTS)
def test_each_gives_every_image_as_pillow_alone_does(
    name: str, photos: list[ImageRef], tmp_path: Path
) -> None:
    """Row by row, and again in a second turn: normalized with the same mean and std."""
    task = make_task(photos, tmp_path)
    before = set(multiprocessing.active_children())
    loader = opened(name, task)
    try:
        for _turn in range(2):
            levels = gray_levels(loader, task).numpy().astype(int)
            apart = np.abs(levels - plain_levels(task)).mean(axis=(1, 2, 3))
            assert apart.max() < LARGEST_MEAN_DIFFERENCE
        assert turn(loader, task).images == IMAGES
    finally:
        loader.close()
    assert not set(multiprocessing.active_children()) - before


@pytest.mark.parametrize("name", CONTESTANTS)
def test_png_is_read_by_all(name: str, photos: list[ImageRef], tmp_path: Path) -> None:
    """The contest `--kind png` has the same contestants."""
    files = []
    for ref in photos[:4]:
        file = tmp_path / f"{ref.name}.png"
        Image.open(ref.file).save(file)
        files.append(ImageRef(file.name, str(file)))
    task = make_task(files, tmp_path)
    loader = opened(name, task)
    try:
        levels = gray_levels(loader, task)
    finally:
        loader.close()
    truth = torch.from_numpy(plain_levels(task))
    assert mean_difference(levels, truth) < LARGEST_MEAN_DIFFERENCE


@pytest.mark.parametrize("rows", [[[0, 1, 2]], [[0, 1], [1, 2, 3]], [[0, 1, 2, 3], [3]]])
def test_a_row_that_is_lost_or_comes_twice_is_refused(
    rows: list[list[int]], photos: list[ImageRef], tmp_path: Path
) -> None:
    """Whoever leaves work out is not faster."""
    task = make_task(photos[:4], tmp_path)
    with pytest.raises(ValueError, match="rows of 4"):
        turn(Scripted(task, rows=rows), task)
    with pytest.raises(ValueError, match="rows of 4"):
        gray_levels(Scripted(task, rows=rows), task)


def test_a_batch_of_another_type_is_refused(photos: list[ImageRef], tmp_path: Path) -> None:
    """Half the bytes are not the same work."""
    task = make_task(photos[:4], tmp_path)
    with pytest.raises(ValueError, match="float16"):
        gray_levels(Scripted(task, dtype=torch.float16), task)


def test_a_resizer_that_does_not_smooth_is_left_out(photos: list[ImageRef]) -> None:
    """It is listed with its difference, has no rate, and the others' contest goes on."""
    contestants = {
        USUAL: Scripted,
        "careless": lambda task: Scripted(task, way=Image.Resampling.NEAREST),
        "careful": Scripted,
    }
    outcome = compare_loaders(photos, repeats=1, contestants=contestants)
    assert list(outcome.rates) == [USUAL, "careful"]
    assert outcome.absent["careless"].startswith("not the same work: ")
    assert outcome.facts["mean_differences"]["careless"] > LARGEST_MEAN_DIFFERENCE


def test_a_wrong_loader_of_our_own_is_an_error(photos: list[ImageRef]) -> None:
    """It is a defect, not an absent peer."""
    contestants = {
        USUAL: Scripted,
        HOST: lambda task: Scripted(task, way=Image.Resampling.NEAREST),
    }
    with pytest.raises(ValueError, match="not the same work"):
        compare_loaders(photos, repeats=1, contestants=contestants)


def test_who_cannot_run_is_listed_with_the_reason(photos: list[ImageRef]) -> None:
    """Not installed, no libraries of the system, or failing on these images: one line each."""

    def no_module(_task: Task) -> Loader:
        raise ModuleNotFoundError("No module named 'ffcv'")

    def no_library(_task: Task) -> Loader:
        raise AbsentError("needs libavutil")

    contestants = {
        USUAL: Scripted,
        "a": no_module,
        "b": no_library,
        "c": lambda task: Scripted(task, rows=[[99]]),
    }
    absent = compare_loaders(photos, repeats=1, contestants=contestants).absent
    assert "pip install 'vocscore[bench]'" in absent["a"]
    assert absent["b"] == "needs libavutil"
    assert absent["c"].startswith("failed on these images: IndexError")
    assert "opencv" in absent["FFCV"]
    assert not any("\n" in reason for reason in absent.values())


def test_everyone_is_closed_also_after_an_error(photos: list[ImageRef]) -> None:
    """Workers that live on would take the cores from the next contest."""
    made: list[Scripted] = []

    def remembered(task: Task, **script: object) -> Loader:
        made.append(Scripted(task, **script))
        return made[-1]

    contestants = {
        USUAL: remembered,
        "careless": lambda task: remembered(task, way=Image.Resampling.NEAREST),
        HOST: lambda task: remembered(task, rows=[[0]]),
    }
    with pytest.raises(ValueError, match="rows of"):
        compare_loaders(photos, repeats=1, contestants=contestants)
    assert [loader.closed for loader in made] == [True] * 3


def test_opencv_that_is_not_installed_is_absent_before_a_worker_starts(
    photos: list[ImageRef], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its import happens in the workers, too; the reason must come from the opening."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    reason = open_or_say(lambda: open_opencv(make_task(photos, tmp_path)))
    assert isinstance(reason, str)
    assert reason.startswith("not installed: ")


def test_spdl_without_ffmpeg_says_so(
    photos: list[ImageRef], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its wheel installs anywhere, and needs the system's FFmpeg."""
    utils = pytest.importorskip("spdl.io.utils", reason="SPDL is not installed")

    def missing() -> None:
        raise RuntimeError("Failed to import libspdl")

    monkeypatch.setattr(utils, "get_ffmpeg_versions", missing)
    with pytest.raises(AbsentError, match="install ffmpeg"):
        open_spdl(make_task(photos, tmp_path))


def test_the_tars_hold_the_same_bytes(photos: list[ImageRef], tmp_path: Path) -> None:
    """Webdataset reads what the others read, in shards that differ by one image at most."""
    pytest.importorskip("webdataset")
    task = make_task(photos, tmp_path)
    found, counts = {}, []
    for name in write_tars(task):
        with tarfile.open(name) as tar:
            members = tar.getmembers()
            counts.append(len(members))
            for member in members:
                found[int(Path(member.name).stem)] = tar.extractfile(member).read()
    assert found == {row: Path(file).read_bytes() for row, file in enumerate(task.files)}
    assert max(counts) - min(counts) <= 1


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads as Linux does")
@pytest.mark.parametrize("name", ["SPDL", "DALI, CPU graph"])
def test_threads_that_would_read_ahead_end_with_the_turn(
    name: str, photos: list[ImageRef], tmp_path: Path
) -> None:
    """Else they would decode in another contestant's time, and start the next turn ahead."""
    task = make_task(photos, tmp_path)
    loader = opened(name, task)
    turn(loader, task)  # torch starts threads of its own at the first use
    before = len(list(Path("/proc/self/task").iterdir()))
    turn(loader, task)
    assert len(list(Path("/proc/self/task").iterdir())) <= before
