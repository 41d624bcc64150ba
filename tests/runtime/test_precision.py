"""Which arithmetic a machine and a checkpoint come to, and what counts as faithful."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from vocscore.errors import DeviceError
from vocscore.models.card import ModelCard
from vocscore.models.network import build_network
from vocscore.pipeline.preprocess import Preprocess
from vocscore.runtime import openvino
from vocscore.runtime.precision import Fidelity, compare, measure_bf16, resolve_precision

CARD = ModelCard("squeezenet1_1", ("a", "b"), Preprocess(size=64), 0.5, "none")
FAITHFUL = replace(CARD, precision="bf16")


@pytest.mark.parametrize(
    ("name", "card", "native", "expected"),
    [
        ("auto", FAITHFUL, True, "bf16"),
        ("auto", FAITHFUL, False, "float32"),
        ("auto", CARD, True, "float32"),
        ("bf16", CARD, True, "bf16"),
        ("float32", FAITHFUL, True, "float32"),
        ("int8", CARD, False, "int8"),
    ],
)
def test_by_name(
    name: str, card: ModelCard, native: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """'auto' needs a faithful checkpoint and such a processor; others stand for themselves."""
    monkeypatch.setattr(openvino, "has_bf16", lambda: native)
    assert resolve_precision(name, card, device="cpu") == expected


def test_what_a_device_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """bf16 in name only, and 8 bits on a GPU, are one line."""
    monkeypatch.setattr(openvino, "has_bf16", lambda: False)
    with pytest.raises(DeviceError, match="cpu does not support bf16"):
        resolve_precision("bf16", CARD, device="cpu")
    with pytest.raises(DeviceError, match="`precision='int8'` runs on the CPU only"):
        resolve_precision("int8", CARD, device="cuda:0")


def test_comparison() -> None:
    """The largest difference, and the share of decisions that are others, class by class."""
    exact = np.array([[0.10, 0.52], [0.49, 0.90]], np.float32)
    other = np.array([[0.12, 0.49], [0.49, 0.60]], np.float32)
    found = compare(exact, other, threshold=0.5)
    assert found.images == 2
    assert found.largest == pytest.approx(0.3)
    assert found.changed == 0.25
    assert compare(exact, other, threshold=(0.11, 0.7)).changed == 0.5


@pytest.mark.parametrize(
    ("largest", "changed", "faithful"),
    [(0.02, 0.002, True), (0.021, 0.0, False), (0.0, 0.003, False)],
)
def test_faithful(largest: float, changed: float, faithful: bool) -> None:
    """Both limits have to hold."""
    assert Fidelity(100, largest, changed).faithful is faithful


def test_large_logits_are_not_faithful() -> None:
    """bf16 keeps 8 bits: a network is faithful with small logits, and not with large ones."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network("squeezenet1_1", classes=2, weights="none", size=64)
        images = [torch.randint(0, 256, (16, 3, 64, 64), dtype=torch.uint8) for _ in range(2)]
        features = network.eval().backbone(CARD.preprocess.normalize(images[0])).detach()
        direction = features[0] / features[0].norm() ** 2
    found = []
    for scale in (1.0, 2000.0):
        with torch.no_grad():
            network.head.weight.copy_(scale * torch.stack((direction, -direction)))
            network.head.bias.copy_(scale * torch.tensor([-1.0, 1.0]))
        found.append(measure_bf16(network, CARD, images))
    assert [one.images for one in found] == [32, 32]
    assert found[0].largest <= 0.02 < found[1].largest
