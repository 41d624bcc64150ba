"""Networks from torchvision's classifiers, and the weights they start from."""

from __future__ import annotations

import contextlib
import io
import pickle
import re
from pathlib import Path
from urllib.error import URLError

import pytest
import safetensors.torch
import torch
from torch import nn
from torchvision.models import get_model

from vocscore.errors import CheckpointError
from vocscore.models.network import build_network, input_preprocess
from vocscore.models.weights import describe_weights
from vocscore.pipeline.preprocess import IMAGENET_MEAN, IMAGENET_STD

SIZE = 64
SMALL = "shufflenet_v2_x0_5"


def torchvision_model(name: str) -> nn.Module:
    """Torchvision's own model as its ImageNet weights set it up, random, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        if name in {"googlenet", "inception_v3"}:
            model = get_model(name, weights=None, init_weights=True, transform_input=True)
        else:
            model = get_model(name, weights=None)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    return model.eval()


@pytest.fixture(scope="module")
def small() -> nn.Module:
    """The fastest to build; like a ResNet it has batch normalization and ends in 'fc'."""
    return torchvision_model(SMALL)


def features(backbone: str, weights: str, size: int = SIZE) -> torch.Tensor:
    """What the built backbone makes of two fixed images."""
    network = build_network(backbone, classes=3, weights=weights, size=size).eval()
    preprocess = input_preprocess(backbone, weights=weights, size=size)
    with torch.no_grad():
        return network.backbone(preprocess.normalize(pixels(size)))


def pixels(size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8, generator=generator)


def imagenet_input(size: int) -> torch.Tensor:
    mean = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
    return (pixels(size) / 255 - mean) / std


def last_layer(model: nn.Module) -> nn.Linear:
    """The classifier that was cut off; SqueezeNet's convolution as the linear layer it is."""
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if linear:
        return linear[-1]
    convolution = model.get_submodule("classifier.1")
    layer = nn.Linear(512, 1000)
    layer.weight.data = convolution.weight.data.flatten(1)
    layer.bias.data = convolution.bias.data
    return layer


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("resnet18", SIZE),
        ("alexnet", SIZE),
        ("googlenet", SIZE),
        ("inception_v3", 75),
        ("squeezenet1_0", SIZE),
        ("mobilenet_v3_small", SIZE),
        ("mnasnet0_5", SIZE),
        ("densenet121", SIZE),
    ],
)
def test_features_and_original_classifier_are_torchvisions_model(
    name: str, size: int, tmp_path: Path
) -> None:
    """A built backbone and the classifier cut off give what torchvision's model gives."""
    model = torchvision_model(name)
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    if name.startswith("squeezenet"):
        model.get_submodule("classifier")[2] = nn.Identity()  # the ReLU that the head must not have
    with torch.no_grad():
        expected = model(imagenet_input(size))
        found = last_layer(model)(features(name, str(tmp_path / "weights.pth"), size))
    tolerance = 1e-5 * float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "width"),
    [("resnet18", 512), ("alexnet", 4096), ("googlenet", 1024), ("squeezenet1_0", 512)],
)
def test_features_are_flat_and_the_head_fits(name: str, width: int) -> None:
    """Every architecture gives features (N, F) and logits (N, C), in training mode too."""
    network = build_network(name, classes=7, weights="none", size=SIZE)
    assert network.training
    inputs = torch.zeros(2, 3, SIZE, SIZE)
    assert network.backbone(inputs).shape == (2, width)
    assert network(inputs).shape == (2, 7)


@pytest.mark.parametrize("name", ["resnet18", "alexnet", "googlenet", "squeezenet1_0"])
def test_logits_are_unbounded(name: str) -> None:
    """A head can push a logit to either side of zero, on every architecture."""
    network = build_network(name, classes=2, weights="none", size=SIZE).eval()
    # Features of these four end in a ReLU and a pool: they cannot all be negative.
    network.head.weight.data[0] = 1.0
    network.head.weight.data[1] = -1.0
    network.head.bias.data[:] = 0.0
    with torch.inference_mode():
        logits = network(torch.randn(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)))
    assert (logits[:, 0] > 0).all()
    assert (logits[:, 1] < 0).all()


def test_unknown_backbone_names_its_neighbors() -> None:
    """A misspelt backbone is one line with the names it may have been meant for."""
    with pytest.raises(CheckpointError, match=r"'ResNet_18' .*resnet18") as caught:
        build_network("ResNet_18", classes=2, weights="none", size=SIZE)
    assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match="alexnet"):
        build_network("xyzzy", classes=2, weights="none", size=SIZE)
    with pytest.raises(CheckpointError, match="resnet18"):
        input_preprocess("resnet81", weights="imagenet", size=SIZE)


def test_detectors_are_not_backbones() -> None:
    """Only classifiers count: a detection model of torchvision is refused."""
    with pytest.raises(CheckpointError, match="not a torchvision classifier"):
        build_network("fasterrcnn_resnet50_fpn", classes=2, weights="none", size=SIZE)


@pytest.mark.parametrize(
    ("name", "size", "cure"),
    [("alexnet", 32, 224), ("vit_b_32", 64, 224), ("inception_v3", 60, 299)],
)
def test_size_that_a_backbone_cannot_take(name: str, size: int, cure: int) -> None:
    """A size that does not fit the backbone is one line that names one that does."""
    with pytest.raises(CheckpointError, match=rf"{name}.*{size}x{size}.*`size={cure}`") as caught:
        build_network(name, classes=2, weights="none", size=size)
    assert "\n" not in str(caught.value)


def test_every_way_a_state_dict_is_kept_gives_the_same_backbone(
    small: nn.Module, tmp_path: Path
) -> None:
    """Pickled, safetensors, DataParallel, wrapped by a training script: equal features."""
    state = small.state_dict()
    torch.save(state, tmp_path / "plain")
    torch.save(dict(state), tmp_path / "dict")
    torch.save(nn.DataParallel(small).state_dict(), tmp_path / "parallel")
    torch.save({"epoch": 3, "state_dict": nn.DataParallel(small).state_dict()}, tmp_path / "a")
    torch.save({"model": state, "lr": 0.1}, tmp_path / "b")
    safetensors.torch.save_file(state, tmp_path / "safe")
    torch.save(state, tmp_path / "legacy", _use_new_zipfile_serialization=False)
    expected = features(SMALL, str(tmp_path / "plain"))
    for name in ("dict", "parallel", "a", "b", "safe", "legacy"):
        assert torch.equal(features(SMALL, str(tmp_path / name)), expected), name


def test_module_that_insists_on_versions_loads_from_safetensors(tmp_path: Path) -> None:
    """MNASNet, which refuses a state dict without a version, loads from safetensors."""
    state = torchvision_model("mnasnet0_5").state_dict()
    torch.save(state, tmp_path / "pickled")
    safetensors.torch.save_file(state, tmp_path / "safe")
    expected = features("mnasnet0_5", str(tmp_path / "pickled"))
    assert torch.equal(features("mnasnet0_5", str(tmp_path / "safe")), expected)


def test_old_names_of_densenet(tmp_path: Path) -> None:
    """DenseNet files with the names of before 2018, as torchvision publishes them, are read."""
    state = torchvision_model("densenet121").state_dict()
    torch.save(state, tmp_path / "new")
    old = {
        re.sub(r"(denselayer\d+\.)(norm|conv)([12])\.", r"\1\2.\3.", name): value
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }
    assert old.keys() != state.keys()
    torch.save(old, tmp_path / "old")
    new = features("densenet121", str(tmp_path / "new"))
    assert torch.equal(features("densenet121", str(tmp_path / "old")), new)


def test_file_with_other_classes(small: nn.Module, tmp_path: Path) -> None:
    """The file's own classifier is left aside: it may have any number of classes, or be missing."""
    state = small.state_dict()
    torch.save(state, tmp_path / "1000")
    torch.save(
        {**state, "fc.weight": torch.ones(5, 1024), "fc.bias": torch.ones(5)}, tmp_path / "5"
    )
    torch.save({k: v for k, v in state.items() if not k.startswith("fc.")}, tmp_path / "none")
    expected = features(SMALL, str(tmp_path / "1000"))
    assert torch.equal(features(SMALL, str(tmp_path / "5")), expected)
    assert torch.equal(features(SMALL, str(tmp_path / "none")), expected)


class Malicious:
    """Unpickled, it would touch a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("how", ["pickle", "torch", "inside"])
def test_code_in_a_file_of_weights_is_not_run(how: str, small: nn.Module, tmp_path: Path) -> None:
    """A pickle that would run code is refused in one line, and the code does not run."""
    mark, file = tmp_path / "mark", tmp_path / "weights.pth"
    if how == "pickle":
        file.write_bytes(pickle.dumps(Malicious(mark)))
    elif how == "torch":
        torch.save(Malicious(mark), file)
    else:
        torch.save({**small.state_dict(), "extra": Malicious(mark)}, file)
    with contextlib.suppress(RuntimeError):  # torch finds out that it is no file of its own
        torch.load(file, weights_only=False)
    assert mark.exists(), "the file must be dangerous, or this test shows nothing"
    mark.unlink()
    with pytest.raises(CheckpointError, match=r"without running (its )?code") as caught:
        build_network(SMALL, classes=2, weights=str(file), size=SIZE)
    assert not mark.exists()
    assert "\n" not in str(caught.value)


def test_weights_of_another_architecture(tmp_path: Path) -> None:
    """A file that does not fit is one line with the first keys and how many more there are."""
    file = str(tmp_path / "resnet18.pth")
    torch.save(get_model("resnet18", weights=None).state_dict(), file)
    with pytest.raises(CheckpointError, match=r"does not fit resnet34: layer1\.2.*more") as caught:
        build_network("resnet34", classes=2, weights=file, size=SIZE)
    assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match=r"does not fit alexnet: .*is missing"):
        build_network("alexnet", classes=2, weights=file, size=SIZE)
    with pytest.raises(
        CheckpointError, match=r"layer1\.0\.conv1\.weight has shape \[64, 64, 3, 3\]"
    ):
        build_network("resnet50", classes=2, weights=file, size=SIZE)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello, these are no weights\n" * 9,
        b'{"a": 1}',
        b"PK\x03\x04 cut short",
        b"\x80\x02rubbish",
        b"\x10\0\0\0\0\0\0\0{rubbish rubbish",
    ],
    ids=["empty", "text", "json", "zip", "pickle", "safetensors"],
)
def test_file_that_is_no_state_dict(data: bytes, tmp_path: Path) -> None:
    """Whatever bytes a file holds, it is refused in one line that names it."""
    file = tmp_path / "weights.pth"
    file.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"weights\.pth") as caught:
        build_network("resnet18", classes=2, weights=str(file), size=SIZE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [10, 1000, -1000, -1])
def test_file_cut_short(keep: int, small: nn.Module, tmp_path: Path) -> None:
    """A state dict cut short is refused in one line, pickled or safetensors."""
    buffer = io.BytesIO()
    torch.save(small.state_dict(), buffer)
    for data in (buffer.getvalue(), safetensors.torch.save(small.state_dict())):
        (tmp_path / "weights").write_bytes(data[:keep])
        with pytest.raises(CheckpointError, match="weights"):
            build_network("resnet18", classes=2, weights=str(tmp_path / "weights"), size=SIZE)


@pytest.mark.parametrize("value", [[1, 2], {}, {"epoch": 3}, {1: torch.zeros(1)}, torch.zeros(3)])
def test_file_that_holds_something_else(value: object, tmp_path: Path) -> None:
    """A file that torch reads but that is no state dict is refused."""
    torch.save(value, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match="not a state dict"):
        build_network("resnet18", classes=2, weights=str(tmp_path / "weights.pth"), size=SIZE)


def test_missing_file_of_weights() -> None:
    """A file that is not there is one line that names what --weights takes."""
    with pytest.raises(CheckpointError, match=r"no/such: no such file.*'imagenet', 'none'"):
        build_network("resnet18", classes=2, weights="no/such", size=SIZE)


def test_imagenet_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, 'imagenet' is one line: the file, where to put it, and the other ways."""

    def offline(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(CheckpointError) as caught:
        build_network("resnet18", classes=2, weights="imagenet", size=SIZE)
    line = str(caught.value)
    assert "\n" not in line
    for part in ("resnet18-f37072fd.pth", str(tmp_path), "no route to host", "`weights=FILE`"):
        assert part in line


def test_imagenet_from_the_cache(
    small: nn.Module,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """'imagenet' takes the file of torchvision's first weights from torch.hub's cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    file = cache / "shufflenetv2_x0.5-f707e7126e.pth"
    torch.save(small.state_dict(), file)
    assert torch.equal(features(SMALL, "imagenet"), features(SMALL, str(file)))
    assert not capfd.readouterr().out


def test_code_in_the_cache_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in torch.hub's cache is trusted no more than any other."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.save(Malicious(tmp_path / "mark"), cache / "resnet18-f37072fd.pth")
    with pytest.raises(CheckpointError, match="damaged"):
        build_network("resnet18", classes=2, weights="imagenet", size=SIZE)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("backbone", "weights", "mean"),
    [
        ("resnet18", "imagenet", IMAGENET_MEAN),
        ("googlenet", "imagenet", (0.5, 0.5, 0.5)),
        ("inception_v3", "weights.pth", (0.5, 0.5, 0.5)),
        ("googlenet", "none", IMAGENET_MEAN),
        ("efficientnet_v2_l", "imagenet", (0.5, 0.5, 0.5)),
        ("vit_h_14", "imagenet", IMAGENET_MEAN),
    ],
)
def test_input_is_normalized_as_the_weights_expect(
    backbone: str, weights: str, mean: tuple[float, ...]
) -> None:
    """Weights that were trained on other statistics than ImageNet's get them."""
    preprocess = input_preprocess(backbone, weights=weights, size=299)
    assert preprocess.mean == mean
    assert preprocess.size == 299


def test_origin_of_weights_names_no_folder(tmp_path: Path) -> None:
    """What the checkpoint says of a file of weights is its name and hash, not where it lay."""
    (tmp_path / "mine.pth").write_bytes(b"abc")
    text = describe_weights("resnet18", str(tmp_path / "mine.pth"))
    assert text == "mine.pth sha256:ba7816bf8f01cfea"  # FIPS 180-2's example
    assert describe_weights("resnet18", "imagenet").endswith("ResNet18_Weights.IMAGENET1K_V1")
    assert describe_weights("resnet18", "none") == "none"


def test_random_weights_follow_torchs_generator() -> None:
    """'none' draws from torch's generator: equal seeds give equal networks."""
    drawn = []
    for seed in (1, 1, 2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            drawn.append(build_network(SMALL, classes=2, weights="none", size=SIZE))
    first, same, other = (network.backbone.get_parameter("conv1.0.weight") for network in drawn)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
