"""Files of weights as people have them: found in what is around them, refused as what they are."""

from __future__ import annotations

import argparse
import collections
import io
import os
import pathlib
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torchvision.models import get_model

from vocscore.errors import CheckpointError
from vocscore.models.card import ModelCard
from vocscore.models.checkpoint import save_checkpoint
from vocscore.models.network import build_network, input_preprocess
from vocscore.models.weight_files import check_weights
from vocscore.models.weights import describe_weights
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = "shufflenet_v2_x0_5"
State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    """A state dict of torchvision's smallest model with batch normalization, random."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return dict(get_model(SMALL, weights=None).state_dict())


@pytest.fixture(scope="module")
def other() -> State:
    """Another one of the same model, as the average of the first might be."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return dict(get_model(SMALL, weights=None).state_dict())


def prefixed(state: State, prefix: str) -> State:
    return {f"{prefix}{name}": value for name, value in state.items()}


def loaded(file: Path | str) -> tuple[State, str]:
    """The backbone's tensors after loading, and where in the file they were."""
    network = build_network(SMALL, classes=2, weights=str(file), size=64)
    return dict(network.backbone.state_dict()), network.weights_at


def assert_taken(file: Path, state: State, where: str) -> None:
    """The backbone has these tensors, from there."""
    found, place = loaded(file)
    assert place == where
    assert found.keys() == {name for name in state if not name.startswith("fc.")}
    for name, value in found.items():
        assert torch.equal(value, state[name]), name


WRAPPED: dict[str, tuple[Callable[[State], Any], str]] = {
    "tutorial": (lambda s: {"epoch": 3, "model_state_dict": s, "loss": 1.0}, "model_state_dict"),
    "state_dict": (lambda s: {"state_dict": s, "best": None}, "state_dict"),
    "model": (lambda s: {"model": s, "optimizer": {"state": {0: {"m": s["fc.bias"]}}}}, "model"),
    "module": (lambda s: {"module": s}, "module"),
    "net": (lambda s: {"net": s, "acc": 91.2, "epoch": 7}, "net"),
    "unusual": (lambda s: {"weights of mine": s}, "weights of mine"),
    "data parallel": (lambda s: prefixed(s, "module."), "module.*"),
    "compiled": (lambda s: prefixed(s, "_orig_mod."), "_orig_mod.*"),
    "compiled, parallel": (lambda s: prefixed(s, "module._orig_mod."), "module._orig_mod.*"),
    "parallel, compiled": (lambda s: prefixed(s, "_orig_mod.module."), "_orig_mod.module.*"),
    "wrapped parallel": (
        lambda s: {"state_dict": prefixed(s, "module."), "epoch": 1},
        "state_dict/module.*",
    ),
    "lightning": (
        lambda s: {
            "state_dict": {**prefixed(s, "model.backbone."), "loss.weight": torch.ones(3)},
            "hyper_parameters": {"lr": 0.1},
            "callbacks": {},
        },
        "state_dict/model.backbone.*",
    ),
    "encoder": (lambda s: prefixed(s, "encoder."), "encoder.*"),
    "nested": (lambda s: {"model": {"state_dict": prefixed(s, "net.")}}, "model/state_dict/net.*"),
    "compiled and sharded inside": (
        lambda s: {
            name.replace("stage2.", "stage2._fsdp_wrapped_module._orig_mod."): value
            for name, value in s.items()
        },
        "",
    ),
    "swa": (lambda s: {"n_averaged": torch.tensor(3), **prefixed(s, "module.")}, "module.*"),
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_a_state_dict_is_found_in_what_is_around_it(
    kind: str, state: State, tmp_path: Path
) -> None:
    """Keys of training scripts and prefixes of wrappers, alone and nested."""
    wrap, where = WRAPPED[kind]
    torch.save(wrap(state), tmp_path / "weights.pth")
    assert_taken(tmp_path / "weights.pth", state, where)


@pytest.mark.parametrize("prefix", ["", "module.", "model.backbone."])
@pytest.mark.parametrize("kind", ["zip", "older", "safetensors"])
def test_every_format_with_prefixes(kind: str, prefix: str, state: State, tmp_path: Path) -> None:
    """torch.save's two formats and safetensors, with and without a prefix."""
    file = tmp_path / "weights"
    if kind == "safetensors":
        safetensors.torch.save_file(prefixed(state, prefix), file)
    else:
        new = kind == "zip"
        torch.save(prefixed(state, prefix), file, _use_new_zipfile_serialization=new)
    assert_taken(file, state, f"{prefix}*" if prefix else "")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(dtype: torch.dtype, state: State, tmp_path: Path) -> None:
    """Half precision is read: each value is the file's, in float32."""
    torch.save(
        {n: v.to(dtype) if v.is_floating_point() else v for n, v in state.items()},
        tmp_path / "weights.pth",
    )
    found, _ = loaded(tmp_path / "weights.pth")
    for name, value in found.items():
        if value.is_floating_point():
            assert value.dtype == torch.float32
            assert torch.equal(value, state[name].to(dtype).float()), name


@pytest.mark.parametrize(
    ("wrap", "where"),
    [
        (lambda s, o: {"state_dict": s, "state_dict_ema": o}, "state_dict_ema"),
        (lambda s, o: {"model": s, "model_ema": prefixed(o, "module.")}, "model_ema/module.*"),
        (lambda s, o: {"model": s, "ema": o}, "ema"),
        (
            lambda s, o: {"state_dict": {**prefixed(s, "model."), **prefixed(o, "ema_model.")}},
            "state_dict/ema_model.*",
        ),
    ],
)
def test_the_moving_average_is_taken_and_said(
    wrap: Callable[[State, State], Any], where: str, state: State, other: State, tmp_path: Path
) -> None:
    """Of weights and their average the average starts the training, and the card says so."""
    file = tmp_path / "weights.pth"
    torch.save(wrap(state, other), file)
    assert_taken(file, other, where)
    assert describe_weights(SMALL, str(file), where=where).endswith(f" {where}")


def test_a_schema_is_no_moving_average(state: State, other: State, tmp_path: Path) -> None:
    """'ema' is a word of a key, and not a part of another word."""
    torch.save({"schema": other, "state_dict": state}, tmp_path / "weights.pth")
    assert_taken(tmp_path / "weights.pth", state, "state_dict")


@pytest.mark.parametrize(
    ("wrap", "names"),
    [
        (lambda s, o: {"student": s, "teacher": o}, ["student", "teacher"]),
        (
            lambda s, o: {"state_dict": {**prefixed(s, "q."), **prefixed(o, "k.")}},
            ["state_dict/q.*", "state_dict/k.*"],
        ),
    ],
)
def test_two_networks_that_fit_are_refused(
    wrap: Callable[[State, State], Any],
    names: list[str],
    state: State,
    other: State,
    tmp_path: Path,
) -> None:
    """Which one is meant is not guessed: one line names them."""
    torch.save(wrap(state, other), tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match="contains 2 networks that fit") as caught:
        loaded(tmp_path / "weights.pth")
    assert all(name in str(caught.value) for name in names)


def test_options_of_a_script_beside_the_tensors(state: State, tmp_path: Path) -> None:
    """Namespaces, paths, NumPy's numbers and arrays, other dictionaries: read over, and not run."""
    file = tmp_path / "weights.pth"
    counts = collections.defaultdict(list, {"a": [1, 2]})
    beside = {
        "args": argparse.Namespace(lr=0.1, out=pathlib.Path("/x"), nested=argparse.Namespace()),
        "best": np.float64(0.5),
        "history": np.arange(3),
        "counts": counts,
        "simple": types.SimpleNamespace(a=1),
    }
    torch.save({"model": state, **beside}, file)
    assert_taken(file, state, "model")


class Touches:
    """Touches a file when it is unpickled, or when its state is set."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __setstate__(self, state: dict[str, Any]) -> None:
        state["path"].touch()


def test_a_harmless_name_runs_no_code_either(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Classes of the list are not even looked up: another one of that name stays asleep."""
    mark = tmp_path / "mark"
    module = types.ModuleType("omegaconf.dictconfig")
    kind = type("DictConfig", (Touches,), {"__module__": "omegaconf.dictconfig"})
    module.DictConfig = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "omegaconf", types.ModuleType("omegaconf"))
    monkeypatch.setitem(sys.modules, "omegaconf.dictconfig", module)
    file = tmp_path / "weights.pth"
    torch.save({"model": state, "cfg": kind(mark)}, file)
    torch.load(file, weights_only=False)
    assert mark.exists(), "the file must be dangerous, or this test shows nothing"
    mark.unlink()
    assert_taken(file, state, "model")
    assert not mark.exists()


def test_a_class_that_is_not_harmless_is_named(state: State, tmp_path: Path) -> None:
    """What would have to run is refused by its name, with the way to save tensors alone."""
    torch.save({"model": state, "cfg": Touches(tmp_path)}, tmp_path / "weights.pth")
    with pytest.raises(
        CheckpointError, match=r"contains \S*Touches.*without running its code"
    ) as caught:
        loaded(tmp_path / "weights.pth")
    assert "torch.save(model.state_dict(), FILE)" in str(caught.value)
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(CheckpointError, match=r"contains torch\.nn\.modules\.linear\.Linear"):
        loaded(tmp_path / "module.pth")


def zipped(name: str) -> bytes:
    import zipfile

    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(name, b"x")
    return data.getvalue()


def array(save: Callable[..., None]) -> bytes:
    data = io.BytesIO()
    save(data, np.zeros(3))
    return data.getvalue()


OTHER_FILES = {
    "empty.pth": (b"", "an empty file"),
    "page.pth": (b"\n<!DOCTYPE html>\n<html>404</html>", "an HTML page"),
    "page2.pth": (b"\xef\xbb\xbf<HTML><head>", "an HTML page"),
    "denied.pth": (b"<?xml version='1.0'?><Error><Code>AccessDenied", "XML"),
    "pointer.pth": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS"),
    "model.safetensors.index.json": (b'{"weight_map": {}}', "JSON"),
    "notes.pth": (b"see the wiki\n", "a text file"),
    "keras.h5": (b"\x89HDF\r\n\x1a\n" + bytes(600), "HDF5"),
    "weights.pth.gz": (b"\x1f\x8b\x08" + bytes(60), "gzip"),
    "weights.tar": (bytes(257) + b"ustar\0" + bytes(300), "a tar archive"),
    "image.pth": (b"\x89PNG\r\n\x1a\n" + bytes(60), r"an image \(PNG\)"),
    "model.onnx": (b"\x08\x07\x12\x07pytorch" + bytes(90), "an ONNX model"),
    "model.gguf": (b"GGUF\3\0\0\0" + bytes(90), "GGUF"),
    "array.npy": (array(np.save), "a NumPy array"),
    "arrays.npz": (array(np.savez), "NumPy arrays"),
    "folder.zip": (zipped("notes.txt"), "a zip archive"),
    "script.pt": (zipped("model/constants.pkl"), "TorchScript"),
    "model.keras": (zipped("model.weights.h5"), "Keras"),
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_a_file_is_named_as_what_it_is(name: str, tmp_path: Path) -> None:
    """One line: the file, what it is, the cure; the same before torch is loaded as after."""
    data, what = OTHER_FILES[name]
    file = tmp_path / name
    file.write_bytes(data)
    for refuse in (
        lambda: check_weights(str(file), backbone=SMALL),
        lambda: build_network(SMALL, classes=2, weights=str(file), size=64),
    ):
        with pytest.raises(CheckpointError, match=what) as caught:
            refuse()
        assert str(caught.value).startswith(f"{file}: ")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0.5, 0.001])
@pytest.mark.parametrize("kind", ["torch", "safetensors"])
def test_a_download_that_was_cut(kind: str, keep: float, state: State, tmp_path: Path) -> None:
    """A cut file is named as cut, not as something unknown."""
    data = io.BytesIO()
    torch.save(state, data)
    whole = data.getvalue() if kind == "torch" else safetensors.torch.save(state)
    file = tmp_path / "weights"
    file.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(CheckpointError, match="truncated"):
        check_weights(str(file), backbone=SMALL)


def test_what_is_no_file_is_never_waited_for(tmp_path: Path) -> None:
    """A pipe, a device, a folder, an address, a name in other case: one line each."""
    os.mkfifo(tmp_path / "pipe")
    for weights, what in (
        (tmp_path / "pipe", "a named pipe"),
        ("/dev/zero", "a device"),
        (tmp_path, "a folder"),
        ("https://example.org/w.pth", "download the file"),
        ("ImageNet", "Write it 'imagenet'"),
    ):
        with pytest.raises(CheckpointError, match=what):
            check_weights(str(weights), backbone=SMALL)


@pytest.mark.parametrize(
    ("names", "library"),
    [
        (["conv_stem.weight", "blocks.0.0.conv_dw.weight"], "timm"),
        (["patch_embed.proj.weight", "blocks.0.attn.qkv.weight"], "timm"),
        (["stem.0.weight", "stages.0.blocks.0.conv_dw.weight"], "timm"),
        (["resnet.embedder.embedder.convolution.weight"], "Hugging Face"),
        (["vit.encoder.layer.0.attention.output.dense.weight"], "Hugging Face"),
    ],
)
def test_models_of_other_libraries(names: list[str], library: str, tmp_path: Path) -> None:
    """Their names are recognized, and the line says whose they are."""
    safetensors.torch.save_file({n: torch.zeros(1) for n in names}, tmp_path / "w.safetensors")
    with pytest.raises(
        CheckpointError, match=f"does not fit {SMALL}.*names are those of {library}"
    ):
        loaded(tmp_path / "w.safetensors")


def test_values_that_cannot_be_weights(state: State, tmp_path: Path) -> None:
    """Integers and values that are no numbers are refused by the tensor's name."""
    name = "conv1.0.weight"
    for value, what in (
        (state[name].mul(10).to(torch.int8), "is int8, not a plain"),
        (torch.full_like(state[name], float("nan")), "NaN or infinity"),
    ):
        torch.save({**state, name: value}, tmp_path / "weights.pth")
        with pytest.raises(CheckpointError, match=f"{name} .*{what}"):
            loaded(tmp_path / "weights.pth")


@pytest.fixture
def run(state: State, tmp_path: Path) -> Path:
    """A finished run whose preprocessing is its own."""
    torch.save(state, tmp_path / "w.pth")
    network = build_network(SMALL, classes=1, weights=str(tmp_path / "w.pth"), size=64)
    card = ModelCard(
        backbone=SMALL,
        classes=("a",),
        preprocess=Preprocess(size=64, mean=(0.1, 0.2, 0.3)),
        threshold=0.5,
        weights="none",
    )
    save_checkpoint(tmp_path / "mine", network, card)
    return tmp_path / "mine"


@pytest.mark.parametrize("name", ["", "model.safetensors"])
def test_a_run_of_this_program(run: Path, name: str, state: State) -> None:
    """Its folder, or the weights in it: its backbone, and the normalization it was trained with."""
    weights = str(run / name)
    check_weights(weights, backbone=SMALL)
    assert_taken(Path(weights), state, "backbone.*")
    assert input_preprocess(SMALL, weights=weights, size=128) == Preprocess(
        size=128, mean=(0.1, 0.2, 0.3)
    )
    assert describe_weights(SMALL, weights).startswith("run mine sha256:")
    for refuse in (
        check_weights,
        lambda w, backbone: input_preprocess(backbone, weights=w, size=64),
    ):
        with pytest.raises(CheckpointError, match=f"Add `backbone='{SMALL}'`"):
            refuse(weights, backbone="resnet18")


def test_weights_of_a_run_without_its_card(run: Path, state: State, tmp_path: Path) -> None:
    """Copied elsewhere, they are a file of weights like another."""
    (tmp_path / "copied.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    assert_taken(tmp_path / "copied.safetensors", state, "backbone.*")
