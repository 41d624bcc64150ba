"""The checkpoint on disk: whole or refused, the same bytes, no code, no download."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from shards import atomic
from vocscore.errors import CheckpointError
from vocscore.models.card import ModelCard
from vocscore.models.card_file import checkpoint_hash
from vocscore.models.checkpoint import load_checkpoint, save_checkpoint
from vocscore.models.network import Network, build_network
from vocscore.pipeline.preprocess import Preprocess

SIZE = 64
CARD = ModelCard(
    backbone="squeezenet1_1",
    classes=("cat", "chien 犬", "cow"),
    preprocess=Preprocess(size=SIZE, mean=(0.1, 0.2, 0.3), upright=False),
    threshold=0.25,
    weights="none",
)


def network_for(card: ModelCard, *, seed: int = 1) -> Network:
    """A network with a head that is not zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network(card.backbone, classes=len(card.classes), weights="none", size=SIZE)
        torch.nn.init.normal_(network.head.weight)
    return network.eval()


@pytest.fixture(scope="module")
def network() -> Network:
    return network_for(CARD)


@pytest.fixture
def saved(network: Network, tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "run", network, CARD)
    return tmp_path / "run"


def rewrite(folder: Path, **changes: Any) -> None:
    """Change fields of the card; None takes one out."""
    written = {**json.loads((folder / "model.json").read_bytes()), **changes}
    kept = {name: value for name, value in written.items() if value is not None}
    (folder / "model.json").write_text(json.dumps(kept))


def put_weights(folder: Path, data: bytes) -> None:
    """Replace the weights, and their hash in the card."""
    (folder / "model.safetensors").write_bytes(data)
    rewrite(folder, weights_sha256=hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize(
    "backbone", ["squeezenet1_1", "resnet18", "googlenet", "mnasnet0_5", "shufflenet_v2_x0_5"]
)
def test_round_trip(backbone: str, tmp_path: Path) -> None:
    """A network comes back with bit-equal logits, its card equal, in evaluation mode."""
    card = replace(CARD, backbone=backbone)
    network = network_for(card)
    save_checkpoint(tmp_path, network, card)
    loaded, found = load_checkpoint(tmp_path)
    assert found == card
    assert not loaded.training
    images = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(loaded(images), network(images))


def test_equal_networks_give_equal_bytes(saved: Path, tmp_path: Path) -> None:
    """The same network gives the same two files, from another process and memory layout too."""
    script = f"""
import torch, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_checkpoint import CARD, network_for, save_checkpoint
network = network_for(CARD).to(memory_format=torch.channels_last)
save_checkpoint(Path({str(tmp_path / "other")!r}), network, CARD)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    for name in ("model.safetensors", "model.json"):
        assert (saved / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    assert checkpoint_hash(saved) == checkpoint_hash(tmp_path / "other")


def test_loading_needs_no_download(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint of a pretrained backbone loads without torch.hub."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("torch.hub was asked")

    rewrite(saved, weights="torchvision SqueezeNet1_1_Weights.IMAGENET1K_V1")
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    load_checkpoint(saved)


def test_nothing_but_two_files(saved: Path) -> None:
    """A checkpoint is two files; nothing temporary stays."""
    assert sorted(p.name for p in saved.iterdir()) == ["model.json", "model.safetensors"]


def test_weights_are_readable_by_safetensors_alone(saved: Path, network: Network) -> None:
    """model.safetensors holds the network's parameters under their names."""
    tensors = safetensors.torch.load_file(saved / "model.safetensors")
    assert tensors.keys() == network.state_dict().keys()
    assert torch.equal(tensors["head.weight"], network.head.weight)


def test_what_was_fitted_comes_back(network: Network, tmp_path: Path) -> None:
    """Thresholds of the classes and a temperature come back as they were, to the last bit."""
    card = replace(CARD, thresholds=(0.1 + 0.2, 0.0, 1.0), temperature=1 / 3)
    save_checkpoint(tmp_path, network, card)
    assert load_checkpoint(tmp_path)[1] == card
    assert card.decision_threshold == (0.1 + 0.2, 0.0, 1.0)


def test_a_card_without_anything_fitted_is_that_of_the_first_format(saved: Path) -> None:
    """Such a card says format 1 and has neither key: older programs go on reading it."""
    written = json.loads((saved / "model.json").read_bytes())
    assert not {"thresholds", "temperature"} & written.keys()
    assert written["format"] == 1
    assert load_checkpoint(saved)[1].decision_threshold == 0.25


@pytest.mark.parametrize("fitted", [{"thresholds": (0.2, 0.3, 0.4)}, {"temperature": 2.0}])
def test_older_programs_refuse_what_was_fitted(
    network: Network, tmp_path: Path, fitted: dict[str, Any]
) -> None:
    """A card with thresholds or a temperature says format 2: not to know them is to score wrong."""
    save_checkpoint(tmp_path, network, replace(CARD, **fitted))
    assert json.loads((tmp_path / "model.json").read_bytes())["format"] == 2


def test_hash_is_of_every_byte(saved: Path, tmp_path: Path) -> None:
    """A copy has the same hash; another threshold, or another weight, has another."""
    first = checkpoint_hash(saved)
    assert len(first) == 64
    shutil.copytree(saved, tmp_path / "copy")
    assert checkpoint_hash(tmp_path / "copy") == first
    rewrite(saved, threshold=0.5)
    second = checkpoint_hash(saved)
    assert second != first
    with (tmp_path / "copy" / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    assert checkpoint_hash(tmp_path / "copy") != first


def test_hash_of_what_is_not_there(tmp_path: Path) -> None:
    """The hash of a missing checkpoint is a known error that names the file."""
    with pytest.raises(CheckpointError, match=r"model\.json"):
        checkpoint_hash(tmp_path)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_missing_file(saved: Path, name: str) -> None:
    """Without one of the two files the error names it and says who writes it."""
    (saved / name).unlink()
    with pytest.raises(CheckpointError, match=rf"{name}: No such file.*vocscore train"):
        load_checkpoint(saved)


def test_save_that_is_interrupted(
    saved: Path, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between its two files, a save over an old checkpoint is refused, not mixed."""
    write = atomic.write

    def die(path: Path, data: bytes) -> None:
        if path.suffix == ".json":
            raise KeyboardInterrupt
        write(path, data)

    other = network_for(CARD, seed=2)
    monkeypatch.setattr(atomic, "write", die)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(saved, other, CARD)
    with pytest.raises(CheckpointError, match="interrupted"):
        load_checkpoint(saved)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"[]", b"null", b"3"])
def test_card_that_is_not_json(saved: Path, text: bytes) -> None:
    """A card that is no JSON object is a known error that names the file."""
    (saved / "model.json").write_bytes(text)
    with pytest.raises(CheckpointError, match=r"model\.json: (not JSON|format None)"):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("backbone", None),
        ("backbone", 3),
        ("classes", None),
        ("classes", []),
        ("classes", 7),
        ("classes", ["a", "a", "b"]),
        ("classes", ["a", "", "b"]),
        ("classes", ["a", 1, "b"]),
        ("threshold", None),
        ("threshold", "0.5"),
        ("threshold", 1.5),
        ("threshold", float("nan")),
        ("weights", 3),
        ("thresholds", []),
        ("thresholds", [0.5, 0.5]),
        ("thresholds", [0.5, 0.5, -0.1]),
        ("thresholds", [0.5, 0.5, float("inf")]),
        ("thresholds", [0.5, 0.5, "0.5"]),
        ("thresholds", 0.5),
        ("temperature", 0),
        ("temperature", -1.5),
        ("temperature", "1"),
        ("temperature", float("nan")),
        ("temperature", 10**400),
        ("preprocess", None),
        ("preprocess", [1]),
        ("preprocess", {"size": 64}),
        ("preprocess", {**Preprocess().to_json(), "size": "64"}),
        ("preprocess", {**Preprocess().to_json(), "size": 64.5}),
        ("preprocess", {**Preprocess().to_json(), "size": 0}),
        ("preprocess", {**Preprocess().to_json(), "upright": "no"}),
        ("preprocess", {**Preprocess().to_json(), "std": [1, 1, 0]}),
        ("preprocess", {**Preprocess().to_json(), "mean": [1, 1, float("nan")]}),
        ("preprocess", {**Preprocess().to_json(), "mean": ["a", "b", "c"]}),
        ("preprocess", {**Preprocess().to_json(), "mean": [10**400, 1, 1]}),
        ("preprocess", {**Preprocess().to_json(), "size": 10**400}),
        ("preprocess", {**Preprocess().to_json(), "crop": 3}),
    ],
)
def test_card_with_a_field_that_no_card_has(saved: Path, field: str, value: object) -> None:
    """Each field of the card is checked; the error is one line that names the file."""
    rewrite(saved, **{field: value})
    with pytest.raises(CheckpointError, match=r"model\.json: not a model card") as caught:
        load_checkpoint(saved)
    assert "\n" not in str(caught.value)


def test_card_of_a_newer_format(saved: Path) -> None:
    """A format that is not known here is refused, not guessed at."""
    rewrite(saved, format=4)
    with pytest.raises(CheckpointError, match="format 4 is not supported"):
        load_checkpoint(saved)


def test_card_of_an_unknown_backbone(saved: Path) -> None:
    """A backbone that torchvision does not have is a known error."""
    rewrite(saved, backbone="resnet19")
    with pytest.raises(CheckpointError, match="resnet18"):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    ("field", "value", "tensor"),
    [
        ("classes", ["cat", "cow"], "head.bias has shape (3,)"),
        ("backbone", "squeezenet1_0", "backbone.features.0.bias has shape (64,)"),
    ],
)
def test_card_of_another_model(saved: Path, field: str, value: object, tensor: str) -> None:
    """A card that does not fit the weights is refused with the first tensor that differs."""
    rewrite(saved, **{field: value})
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(saved)
    assert tensor in str(caught.value)


def test_weights_that_were_replaced(saved: Path, tmp_path: Path) -> None:
    """Weights of another training, beside this card, are refused though their shapes fit."""
    save_checkpoint(tmp_path / "other", network_for(CARD, seed=2), CARD)
    shutil.copy(tmp_path / "other" / "model.safetensors", saved)
    with pytest.raises(CheckpointError, match="not the weights"):
        load_checkpoint(saved)


class Malicious:
    """Unpickled, it would touch a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.path,)


def test_pickle_in_place_of_the_weights(saved: Path, tmp_path: Path) -> None:
    """A pickle under the name of the weights, hash and all, is refused and not run."""
    put_weights(saved, pickle.dumps(Malicious(tmp_path / "mark")))
    with pytest.raises(CheckpointError, match="not safetensors"):
        load_checkpoint(saved)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_weights_cut_short(saved: Path, keep: int) -> None:
    """Weights cut short are refused, even with a card that was made for them."""
    put_weights(saved, (saved / "model.safetensors").read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="not safetensors"):
        load_checkpoint(saved)


def test_card_for_another_number_of_logits(network: Network, tmp_path: Path) -> None:
    """A card whose classes are not as many as the logits is not saved."""
    with pytest.raises(ValueError, match="3 logits for 2 classes"):
        save_checkpoint(tmp_path, network, replace(CARD, classes=("a", "b")))
    assert not list(tmp_path.iterdir())
