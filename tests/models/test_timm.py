"""timm's models as backbones: features, maps, sizes, names and checkpoints."""

from __future__ import annotations

import copy
import socket
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest
import timm
import timm.data
import torch
from huggingface_hub import constants
from timm_examples import LITE, inputs, pixels, random_network, refusal, timm_model

from vocscore import offline
from vocscore.errors import CheckpointError
from vocscore.models import backbones
from vocscore.models.backbones import check_backbone, timm_names_in_source
from vocscore.models.card import ModelCard
from vocscore.models.checkpoint import load_checkpoint, save_checkpoint
from vocscore.models.network import build_network, input_preprocess
from vocscore.models.timm_models import model_preprocess, timm_origin
from vocscore.models.weights import weights_origin
from vocscore.pipeline.preprocess import Preprocess
from vocscore.runtime.cuda import CudaRuntime
from vocscore.runtime.load import open_backbone

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.device import Precision
    from vocscore.models.network import Network

DINO = "timm/vit_small_patch14_dinov2"
SIZES = {LITE: 64, "timm/convnext_atto": 64, "timm/vit_tiny_patch16_224": 64, DINO: 56}
BF16 = (LITE, "timm/vit_tiny_patch16_224")
"""Models that are compiled in bf16 too; compiling takes seconds."""
TOLERANCES: tuple[tuple[Precision, float], ...] = (("float32", 2e-4), ("bf16", 0.06))
"""Of features, relative to the largest."""


@pytest.fixture(scope="module")
def networks() -> dict[str, Network]:
    """Each kind of model, with random weights and statistics of its own."""
    return {name: random_network(name, size=size) for name, size in SIZES.items()}


@pytest.mark.parametrize("backbone", SIZES)
@torch.inference_mode()
def test_features_are_timms_own(backbone: str, networks: dict[str, Network]) -> None:
    """Equal to timm's `forward_head(pre_logits=True)` of a whole model with the same weights."""
    size, found = SIZES[backbone], networks[backbone].backbone
    own = timm_model(backbone, size=size)
    own.load_state_dict(found.model.state_dict(), strict=False)
    expected = own.forward_head(own.forward_features(inputs(size)), pre_logits=True)
    assert torch.equal(found(inputs(size)), expected)
    assert expected.shape == (2, networks[backbone].head.in_features)


@pytest.mark.parametrize("backbone", SIZES)
@torch.inference_mode()
def test_map_is_the_last_one_in_place(backbone: str, networks: dict[str, Network]) -> None:
    """(N, C, h, w): timm's own map; tokens by rows, without the class token."""
    size, found = SIZES[backbone], networks[backbone].backbone
    raw = found.model.forward_features(inputs(size))
    made = found.forward_map(inputs(size))
    if raw.ndim == 4:
        assert torch.equal(made, raw)
    else:
        assert made.shape == (2, raw.shape[2], 4, 4)
        assert torch.equal(made[:, :, 2, 1], raw[:, 1 + 2 * 4 + 1])


@torch.inference_mode()
def test_map_of_a_model_with_channels_last() -> None:
    """Swin keeps channels last: its map has them first, and its mean is the feature."""
    made = random_network("timm/swin_tiny_patch4_window7_224", size=56)
    found = made.backbone.forward_map(inputs(56))
    assert found.shape == (2, 768, 2, 2)
    torch.testing.assert_close(found.mean((2, 3)), made.backbone(inputs(56)))


def test_distilled_model_gives_one_tensor_in_training() -> None:
    """DeiT's two outputs are averaged in training too."""
    network = build_network(
        "timm/deit_tiny_distilled_patch16_224", classes=2, weights="none", size=32
    )
    assert network.training
    assert network(inputs(32)).shape == (2, 2)


@pytest.mark.parametrize("backbone", SIZES)
def test_cpu_runtime_computes_the_same(backbone: str, networks: dict[str, Network]) -> None:
    """OpenVINO's features are PyTorch's: to rounding in float32, closely in bf16."""
    size, module = SIZES[backbone], networks[backbone].backbone
    with torch.inference_mode():
        exact = module(inputs(size)).numpy()
    for precision, near in TOLERANCES[: 2 if backbone in BF16 else 1]:
        opened = open_backbone(module, Preprocess(size=size), precision=precision, group=2)
        found = opened.probabilities(pixels(size))
        assert np.abs(found - exact).max() <= near * np.abs(exact).max(), precision


@pytest.mark.parametrize("backbone", [LITE, DINO])
def test_gpu_path_computes_the_same(backbone: str, networks: dict[str, Network]) -> None:
    """The code of the GPU, run on the CPU: equal to rounding."""
    size, network = SIZES[backbone], networks[backbone]
    with torch.inference_mode():
        exact = network(inputs(size)).sigmoid().numpy()
    runtime = CudaRuntime(
        copy.deepcopy(network),
        preprocess=Preprocess(size=size),
        classes=3,
        device="cpu",
        precision="float32",
        batch_size=2,
    )
    np.testing.assert_allclose(runtime.probabilities(pixels(size)), exact, atol=1e-5)


@pytest.mark.parametrize("backbone", SIZES)
def test_checkpoint_round_trip(backbone: str, networks: dict[str, Network], tmp_path: Path) -> None:
    """A checkpoint comes back with equal logits, built for its size, license and all."""
    size = SIZES[backbone]
    card = ModelCard(
        backbone=backbone,
        classes=("a", "b", "c"),
        preprocess=Preprocess(size=size),
        threshold=0.5,
        weights="none",
        origin=timm_origin(backbone),
    )
    save_checkpoint(tmp_path, networks[backbone], card)
    network, found = load_checkpoint(tmp_path)
    assert found == card
    assert found.origin["license"] == "apache-2.0"
    with torch.inference_mode():
        assert torch.equal(network(inputs(size)), networks[backbone](inputs(size)))


def test_checkpoint_with_a_tag_that_this_timm_does_not_know(tmp_path: Path) -> None:
    """The tag names weights, which the checkpoint has: another timm reads it as well."""
    network = random_network("timm/test_vit.r160_in1k", size=32)
    card = ModelCard("timm/test_vit.later", ("a", "b", "c"), Preprocess(size=32), 0.5, "none")
    save_checkpoint(tmp_path, network, card)
    found, _ = load_checkpoint(tmp_path)
    assert torch.equal(found(inputs(32)), network(inputs(32)))


def test_reading_a_card_imports_no_library(tmp_path: Path, networks: dict[str, Network]) -> None:
    """Neither timm, huggingface_hub nor torch is imported to read a card or to check a name."""
    card = ModelCard(LITE, ("a", "b", "c"), Preprocess(size=64), 0.5, "none")
    save_checkpoint(tmp_path, networks[LITE], card)
    code = (
        "import sys; from pathlib import Path\n"
        "from vocscore.models.card_file import load_card\n"
        "from vocscore.models.backbones import check_backbone\n"
        "check_backbone(load_card(Path(sys.argv[1])).backbone)\n"
        "print({'timm', 'huggingface_hub', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_nothing_is_requested(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Building, saving and loading open no connection, and the hub's switch is as before."""

    def refuse(*address: object, **_: object) -> None:
        raise AssertionError(f"connects to {address}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    before = constants.HF_HUB_OFFLINE
    network = random_network("timm/test_vit", size=32)
    card = ModelCard("timm/test_vit", ("a", "b", "c"), Preprocess(size=32), 0.5, "none")
    save_checkpoint(tmp_path, network, card)
    load_checkpoint(tmp_path)
    assert before == constants.HF_HUB_OFFLINE
    with offline.hub_closed():
        assert constants.HF_HUB_OFFLINE


@pytest.mark.parametrize(
    ("backbone", "size", "cures"),
    [
        (DINO, 256, ("multiples of 14", "`size=252` or `size=266`", "`size=518`")),
        ("timm/vit_tiny_patch16_224", 100, ("multiples of 16", "`size=96`", "`size=224`")),
        ("timm/vit_tiny_patch16_224", 5, ("multiples of 16", "`size=16`", "`size=224`")),
        ("timm/levit_128s", 100, ("`size=224`",)),
    ],
)
def test_size_that_a_model_cannot_take(backbone: str, size: int, cures: tuple[str, ...]) -> None:
    """One line says which sizes it takes, and these work."""
    line = refusal(backbone, size=size)
    for part in (backbone, f"{size}x{size}", *cures):
        assert part in line


def test_models_without_a_fixed_size_take_any() -> None:
    """A convolutional network takes an odd size, a transformer every multiple of its patch."""
    for backbone, size in (("timm/test_resnet", 33), (DINO, 28), ("timm/vit_tiny_patch16_224", 80)):
        build_network(backbone, classes=2, weights="none", size=size)


def test_unknown_names() -> None:
    """One line suggests names: of models, of the tags of a model, and across libraries."""
    assert "timm/resnet18" in refusal("timm/resnet81")
    assert "timm/tf_efficientnet_lite0" in refusal("timm/")
    assert "Some that it has: timm/resnet50.a1_in1k" in refusal("timm/resnet50.a1_in2k")
    assert f"`backbone='{LITE}'`" in refusal("tf_efficientnet_lite0")
    with pytest.raises(CheckpointError, match=r"'timm/ResNet_18' .*timm/resnet18"):
        check_backbone("timm/ResNet_18")
    check_backbone("timm/resnet50.a1_in1k")


def test_names_in_source_are_those_that_timm_registers() -> None:
    """Without importing it: the very models of `timm.list_models`."""
    assert timm_names_in_source() == set(timm.list_models())


def test_without_timm_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same before anything is loaded and when a checkpoint is opened."""
    monkeypatch.setattr(
        backbones, "find_spec", lambda name: None if name == "timm" else find_spec(name)
    )
    for refuse in (check_backbone, refusal):
        if refuse is refusal:
            line = refusal(LITE)
        else:
            with pytest.raises(CheckpointError) as caught:
                refuse(LITE)
            line = str(caught.value)
        assert line.endswith("pip install 'vocscore[timm]'")


def test_own_preprocessing_is_timms() -> None:
    """Mean, deviation, size, fit and interpolation are those of `resolve_model_data_config`."""
    for name in ("tf_efficientnet_lite0", "vit_base_patch16_siglip_224", "convnext_atto"):
        found = model_preprocess(f"timm/{name}")
        own = timm.data.resolve_model_data_config(
            model=None, pretrained_cfg=timm.get_pretrained_cfg(name).to_dict()
        )
        assert (3, found.size, found.size) == own["input_size"]
        assert (found.mean, found.std) == (own["mean"], own["std"])
        assert found.interpolation == own["interpolation"]
        assert found.fit == {"center": "crop", "squash": "squash"}[own["crop_mode"]]
        assert found.crop_fraction == own["crop_pct"]


def test_training_squashes_with_the_models_own_normalization() -> None:
    """The default for training: the model's mean and deviation, whole images at --size."""
    half = (0.5, 0.5, 0.5)
    for weights in ("imagenet", "none"):
        assert input_preprocess(LITE, weights=weights, size=256) == Preprocess(
            size=256, mean=half, std=half
        )


def test_license_is_only_claimed_where_it_is_known(tmp_path: Path) -> None:
    """Weights of timm have timm's license; nothing is said of a file."""
    assert weights_origin(LITE, "imagenet") == {
        "license": "apache-2.0",
        "source": "https://huggingface.co/timm/tf_efficientnet_lite0.in1k",
    }
    (tmp_path / "w.safetensors").write_bytes(b"x")
    assert weights_origin(LITE, str(tmp_path / "w.safetensors")) == {}
    assert weights_origin(LITE, "none") == {}
    assert weights_origin("resnet18", "imagenet") == {}
