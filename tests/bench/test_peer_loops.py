"""The inference loops of others."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from peer_doubles import SIZE, Scripted, make_task, plain_values
from torch import nn

from bench.peers.loops import DALI, LOOPS, RAY, TIMM, USUAL, EagerLoop, Scorer, open_peers
from bench.peers.task import open_or_say
from shards.sample import ImageRef
from shards.synthetic.voc import draw_photo
from vocscore.models.card import ModelCard
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from pathlib import Path

    from bench.peers.task import Task

IMAGES = 10
CLASSES = 3


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[ImageRef]:
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(IMAGES):
        (folder / f"{seed}.jpg").write_bytes(draw_photo(320 + 8 * seed, 240, seed=seed))
    return [ImageRef(file.name, str(file)) for file in sorted(folder.iterdir())]


def small_network() -> nn.Module:
    """A network whose answers differ from image to image; dropout shows a forgotten eval()."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.AvgPool2d(SIZE // 4),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(3 * 16, CLASSES),
        nn.Sigmoid(),
    )


def plain_probabilities(task: Task, network: nn.Module) -> np.ndarray:
    """One image after another, by Pillow and the formulas."""
    mean = np.array(task.preprocess.mean)[:, None, None]
    std = np.array(task.preprocess.std)[:, None, None]
    pixels = ((plain_values(task) / 255 - mean) / std).astype(np.float32)
    with torch.inference_mode():
        answers = [network.eval()(torch.from_numpy(one[None])).numpy()[0] for one in pixels]
    return np.stack(answers)


def assert_loop_is_right(
    name: str, photos: list[ImageRef], scratch: Path, *, turns: int = 2
) -> None:
    task, network = make_task(photos, scratch), small_network()
    truth = plain_probabilities(task, network)
    loop = open_or_say(lambda: LOOPS[name](task, network.train(), "cpu"))
    if isinstance(loop, str):
        pytest.skip(loop)
    with closing(loop):
        for _turn in range(turns):
            found, timed = loop.run()
            np.testing.assert_allclose(found, truth, atol=1e-4)
            assert timed.images == IMAGES
            assert timed.seconds > 0
    assert np.ptp(truth, axis=0).min() > 0.01, "rows could be exchanged unseen"


@pytest.mark.parametrize("name", [USUAL, TIMM])
def test_the_probabilities_are_the_plain_loops(
    name: str, photos: list[ImageRef], tmp_path: Path
) -> None:
    """Every image's own, in the order of rows, twice."""
    assert_loop_is_right(name, photos, tmp_path)


@pytest.mark.slow
def test_ray_datas_probabilities_are_the_plain_loops(
    photos: list[ImageRef], tmp_path: Path
) -> None:
    """Ray gives rows in whatever order; its actor takes any network."""
    assert_loop_is_right(RAY, photos, tmp_path, turns=1)  # every turn starts a new actor


def test_rows_that_come_in_another_order_are_put_in_theirs(
    photos: list[ImageRef], tmp_path: Path
) -> None:
    """Loaders with workers need not keep the order."""
    task, network = make_task(photos, tmp_path), small_network()
    mixed = Scripted(task, rows=[[7, 3], [9, 0, 1], [8, 2, 4, 6, 5]])
    found, timed = EagerLoop(task, network, mixed).run()
    np.testing.assert_allclose(found, plain_probabilities(task, network), atol=1e-4)
    assert timed.images == IMAGES


def test_a_loop_that_loses_a_row_is_refused(photos: list[ImageRef], tmp_path: Path) -> None:
    """A loop that leaves work out is not faster."""
    task = make_task(photos, tmp_path)
    with pytest.raises(ValueError, match="rows of 10"):
        EagerLoop(task, small_network(), Scripted(task, rows=[[0, 1]])).run()


def test_loops_that_are_not_installed_are_listed_with_the_reason(
    photos: list[ImageRef], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual one runs everywhere."""
    for module in ("ray", "timm", "timm.data"):
        monkeypatch.setitem(sys.modules, module, None)
    with ExitStack() as stack:
        peers = open_peers(make_task(photos, tmp_path), small_network(), stack, names=(TIMM, RAY))
    assert list(peers.opened) == [USUAL]
    assert set(peers.absent) == {TIMM, RAY}
    assert all("pip install 'vocscore[bench]'" in reason for reason in peers.absent.values())


class Shifted(nn.Module):
    """Another answer each time that it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return torch.full((len(images), CLASSES), 0.1 * self.calls)


def test_a_loop_with_other_probabilities_takes_no_part(
    photos: list[ImageRef], tmp_path: Path
) -> None:
    """It is listed with its difference; the usual loop stays."""
    with ExitStack() as stack:
        peers = open_peers(make_task(photos, tmp_path), Shifted(), stack, names=(DALI,))
    assert list(peers.opened) == [USUAL]
    assert peers.absent[DALI].startswith("not the same work: ")
    assert peers.differences[DALI] > 0.1


def test_a_loop_with_the_same_probabilities_takes_part(
    photos: list[ImageRef], tmp_path: Path
) -> None:
    """And a turn of it scores every image."""
    with ExitStack() as stack:
        peers = open_peers(make_task(photos, tmp_path), small_network(), stack, names=(USUAL,))
        assert list(peers.opened) == [USUAL]
        assert not peers.absent
        assert peers.differences[USUAL] < 1e-4
        assert [loop.run()[1].images for loop in peers.opened.values()] == [IMAGES]


def test_a_scorer_ends_as_the_checkpoint_does() -> None:
    """A temperature that was fitted is part of what others have to compute."""
    card = ModelCard("resnet18", tuple("abc"), Preprocess(), 0.5, "none", temperature=2.0)
    logits = torch.tensor([[0.0, 2.0, -4.0]])
    found = Scorer(nn.Identity(), card)(logits)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits.numpy() / 2)), rtol=1e-6)
