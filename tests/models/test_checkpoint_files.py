"""The weights of a model are read once for a job, and are those that were chosen."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from vocscore.config.scoring import InferenceConfig
from vocscore.errors import CheckpointError
from vocscore.models import checkpoint_files
from vocscore.models.card import ModelCard
from vocscore.models.card_file import checkpoint_hash, load_card
from vocscore.models.checkpoint import load_checkpoint, load_network, save_checkpoint
from vocscore.models.checkpoint_files import hold, read_checkpoint, take
from vocscore.models.network import build_network
from vocscore.pipeline.preprocess import Preprocess
from vocscore.runtime.load import open_checkpoint
from vocscore.scoring.chosen_model import check_model

if TYPE_CHECKING:
    from collections.abc import Iterator

_watching: list[list[str]] = []
"""Lists of names of files that are opened: audit hooks cannot be removed, so this one goes idle."""


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _watching and not isinstance(arguments[0], int):
        for names in _watching:
            names.append(Path(os.fsdecode(arguments[0])).name)


sys.addaudithook(_audit)


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """The names of the files that this process opens."""
    names: list[str] = []
    _watching.append(names)
    yield names
    _watching.clear()


@pytest.fixture(autouse=True)
def nothing_held() -> Iterator[None]:
    """Hold no files from one test to the next."""
    yield
    checkpoint_files._held.clear()


def save(folder: Path, *, seed: int) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network("squeezenet1_1", classes=2, weights="none", size=32)
        torch.nn.init.normal_(network.head.weight)
    card = ModelCard("squeezenet1_1", ("cat", "dog"), Preprocess(size=32), 0.5, "none")
    save_checkpoint(folder, network, card)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model"), seed=1)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache without compiled models."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def scored(folder: Path) -> Any:
    """Choose and open a model as `score` does, in one process."""
    card, identity = check_model(folder, InferenceConfig(device="cpu", precision="float32"))
    runtime, same = open_checkpoint(
        folder, identity=identity, device="cpu", precision="float32", group=2
    )
    assert same == card
    return runtime.probabilities(torch.full((2, 3, 32, 32), 100, dtype=torch.uint8))


@pytest.mark.usefixtures("own_cache")
def test_scoring_reads_the_weights_once(model: Path, opened: list[str]) -> None:
    """Whether the compiled model is cached (the second time) or not (the first)."""
    first = scored(model)
    assert opened.count("model.safetensors") == 1
    opened.clear()
    second = scored(model)
    assert opened.count("model.safetensors") == 1
    assert (first == second).all()
    assert not checkpoint_files._held


def test_the_files_are_those_of_the_checkpoint(model: Path, opened: list[str]) -> None:
    """One read of each file gives the card, the identity and the network that separate reads do."""
    files = read_checkpoint(model)
    assert sorted(name for name in opened if name.startswith("model.")) == [
        "model.json",
        "model.safetensors",
    ]
    assert files.identity == checkpoint_hash(model)
    assert files.card == load_card(model)
    expected = load_checkpoint(model)[0].state_dict()
    assert all(
        torch.equal(value, expected[n]) for n, value in load_network(files).state_dict().items()
    )
    assert len(repr(files)) < 500


def test_workers_hold_nothing_in_the_process_that_starts_them(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each worker reads the weights for itself; the first process has no use for them."""
    monkeypatch.setattr(checkpoint_files, "_held", {})
    check_model(model, InferenceConfig(devices=("cpu", "cpu"), precision="float32"))
    assert not checkpoint_files._held


def test_a_model_that_was_replaced_is_refused(model: Path, tmp_path: Path) -> None:
    """A process that holds no files, such as a worker started later, finds other ones."""
    folder = shutil.copytree(model, tmp_path / "model")
    identity = checkpoint_hash(folder)
    assert take(folder, identity=identity).identity == identity
    save(folder, seed=2)
    for device in ("cpu", "cuda:0"):
        with pytest.raises(CheckpointError, match="replaced while it was in use"):
            open_checkpoint(folder, identity=identity, device=device, precision="float32", group=2)


@pytest.mark.usefixtures("own_cache")
def test_the_chosen_model_is_used_even_if_it_is_replaced(model: Path, tmp_path: Path) -> None:
    """Between the choice and the start of scoring, the bytes that were chosen are in memory."""
    folder = shutil.copytree(model, tmp_path / "model")
    card, identity = check_model(folder, InferenceConfig(device="cpu", precision="float32"))
    save(folder, seed=2)
    runtime, _ = open_checkpoint(
        folder, identity=identity, device="cpu", precision="float32", group=2
    )
    found = runtime.probabilities(torch.full((2, 3, 32, 32), 100, dtype=torch.uint8))
    assert (found == scored(model)).all()
    assert card.classes == ("cat", "dog")


def test_released_weights_are_read_again(model: Path, tmp_path: Path) -> None:
    """Building a network frees them; who needs them once more gets the same ones, or an error."""
    folder = shutil.copytree(model, tmp_path / "model")
    files = read_checkpoint(folder)
    weights = files.weights()
    load_network(files)
    assert files.weights() is not weights
    assert files.weights() == weights
    save(folder, seed=2)
    with pytest.raises(CheckpointError, match="replaced while it was in use"):
        files.weights()


def test_only_the_last_files_are_held(model: Path, tmp_path: Path) -> None:
    """A job that ends before it opens its model leaves no more than one in memory."""
    other = read_checkpoint(save(tmp_path / "other", seed=3))
    files = read_checkpoint(model)
    hold(other)
    hold(files)
    assert take(tmp_path / "gone", identity=files.identity) is files
    assert not checkpoint_files._held
