"""The contestants of `python -m bench loaders`."""

from __future__ import annotations

import multiprocessing
import sys
import tarfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from peer_doubles import Scripted, make_task, plain_values
from PIL import Image

from bench import loaders
from bench.loaders import CONTESTANTS, HOST, LARGEST_MEAN_DIFFERENCE, USUAL, open_contestants
from bench.peers.dataloader import open_opencv
from bench.peers.libraries import SpdlLoader, write_tars
from bench.peers.task import (
    AbsentError,
    Agreeing,
    Loader,
    Task,
    mean_difference,
    open_or_say,
    pixel_values,
    turn,
)
from shards.sample import ImageRef
from shards.synthetic.voc import draw_photo

if TYPE_CHECKING:
    from bench.contests import Options

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
            values = pixel_values(loader, task).numpy().astype(int)
            apart = np.abs(values - plain_values(task)).mean(axis=(1, 2, 3))
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
        values = pixel_values(loader, task)
    finally:
        loader.close()
    truth = torch.from_numpy(plain_values(task))
    assert mean_difference(values, truth) < LARGEST_MEAN_DIFFERENCE


@pytest.mark.parametrize("rows", [[[0, 1, 2]], [[0, 1], [1, 2, 3]], [[0, 1, 2, 3], [3]]])
def test_a_row_that_is_lost_or_comes_twice_is_refused(
    rows: list[list[int]], photos: list[ImageRef], tmp_path: Path
) -> None:
    """A loader that leaves work out is not faster."""
    task = make_task(photos[:4], tmp_path)
    with pytest.raises(ValueError, match="rows of 4"):
        turn(Scripted(task, rows=rows), task)
    with pytest.raises(ValueError, match="rows of 4"):
        pixel_values(Scripted(task, rows=rows), task)


def test_a_batch_of_another_type_is_refused(photos: list[ImageRef], tmp_path: Path) -> None:
    """Half the bytes are not the same work."""
    task = make_task(photos[:4], tmp_path)
    with pytest.raises(ValueError, match="float16"):
        pixel_values(Scripted(task, dtype=torch.float16), task)


Contestants = dict[str, Callable[[Task], Loader]]


def agreeing(photos: list[ImageRef], scratch: Path, contestants: Contestants) -> Agreeing[Loader]:
    with ExitStack() as stack:
        return open_contestants(make_task(photos, scratch), stack, contestants=contestants)


def test_a_resizer_that_does_not_smooth_is_left_out(photos: list[ImageRef], tmp_path: Path) -> None:
    """It is listed with its difference, and the others stay."""
    contestants = {
        USUAL: Scripted,
        "careless": lambda task: Scripted(task, way=Image.Resampling.NEAREST),
        "careful": Scripted,
    }
    found = agreeing(photos, tmp_path, contestants)
    assert list(found.opened) == [USUAL, "careful"]
    assert found.absent["careless"].startswith("not the same work: ")
    assert found.differences["careless"] > LARGEST_MEAN_DIFFERENCE


def test_a_wrong_loader_of_our_own_is_an_error(photos: list[ImageRef], tmp_path: Path) -> None:
    """It is a defect, not an absent peer."""
    contestants = {
        USUAL: Scripted,
        HOST: lambda task: Scripted(task, way=Image.Resampling.NEAREST),
    }
    with pytest.raises(ValueError, match="not the same work"):
        agreeing(photos, tmp_path, contestants)


def test_what_cannot_run_is_listed_with_the_reason(photos: list[ImageRef], tmp_path: Path) -> None:
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
    absent = agreeing(photos, tmp_path, contestants).absent
    assert "pip install 'vocscore[bench]'" in absent["a"]
    assert absent["b"] == "needs libavutil"
    assert absent["c"].startswith("failed on these images: IndexError")
    assert not any("\n" in reason for reason in absent.values())


def test_all_are_closed_also_after_an_error(photos: list[ImageRef], tmp_path: Path) -> None:
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
        agreeing(photos, tmp_path, contestants)
    assert [loader.closed for loader in made] == [True] * 3


def test_the_outcome_names_its_peers_and_who_never_runs(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ratios are to the best of the others; the program's own are no peers."""
    contestants = {USUAL: Scripted, HOST: Scripted}
    monkeypatch.setattr(
        loaders, "open_contestants", partial(open_contestants, contestants=contestants)
    )
    (outcome,) = loaders.run(options)
    assert list(outcome.rates) == [USUAL, HOST]
    assert outcome.peers == (USUAL,)
    assert "opencv" in outcome.absent["FFCV"]


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
        SpdlLoader(make_task(photos, tmp_path))


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
    since = time.monotonic()  # a thread that was told to end needs a moment
    while len(list(Path("/proc/self/task").iterdir())) > before and time.monotonic() - since < 5:
        time.sleep(0.01)
    assert len(list(Path("/proc/self/task").iterdir())) <= before
