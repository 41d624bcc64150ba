"""Runs in ONNX: scored, quantized and exported like others; what they cannot do is one line."""

from __future__ import annotations

import csv
import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto
from tiny_onnx import (
    MEAN,
    SIZE,
    STD,
    classifier,
    expected,
    invoke,
    normalized,
    rows,
    sigmoid,
    write_images,
)

from vocscore.device import Device
from vocscore.errors import CheckpointError, DeviceError
from vocscore.models.card import ModelCard
from vocscore.models.card_file import load_card
from vocscore.models.checkpoint_files import read_checkpoint
from vocscore.models.onnx_checkpoint import save_onnx_checkpoint
from vocscore.models.onnx_signature import OnnxSignature
from vocscore.pipeline.preprocess import Preprocess
from vocscore.runtime.load import Asked, open_checkpoint
from vocscore.runtime.onnx_cuda import OnnxRuntime, open_on_gpu

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = tuple("abcde")
CARD = ModelCard(
    backbone="onnx",
    classes=CLASSES,
    preprocess=Preprocess(size=SIZE, mean=MEAN, std=STD),
    threshold=0.5,
    weights="a test",
    onnx=OnnxSignature("images", "NCHW", "float32", "found"),
)


def card(**signature: Any) -> ModelCard:
    from dataclasses import replace

    assert CARD.onnx is not None
    return replace(CARD, onnx=replace(CARD.onnx, **signature))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of a plain classifier."""
    save_onnx_checkpoint(tmp_path / "run", classifier().SerializeToString(), CARD)
    return tmp_path / "run"


def test_a_card_is_read_as_it_was_written(run: Path) -> None:
    """With and without a batch; the signature stands on a card of format 3."""
    assert load_card(run) == CARD
    assert json.loads((run / "model.json").read_text())["format"] == 3
    fixed = card(batch=8, layout="NHWC", type="uint8")
    assert ModelCard.from_json(json.loads(json.dumps(fixed.to_json()))) == fixed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input", ""),
        ("output", 3),
        ("layout", "CHWN"),
        ("type", "int8"),
        ("batch", 0),
        ("batch", True),
        ("batch", 2.5),
    ],
)
def test_an_invalid_signature_is_refused(run: Path, field: str, value: Any) -> None:
    """One line that names the card."""
    written = json.loads((run / "model.json").read_text())
    written["onnx"][field] = value
    (run / "model.json").write_text(json.dumps(written))
    with pytest.raises(CheckpointError, match=r"model\.json: not a model card"):
        load_card(run)


def test_the_backbone_and_the_signature_belong_together(run: Path) -> None:
    """An ONNX card without one, and another backbone with one, are damaged."""
    written = json.loads((run / "model.json").read_text())
    for wrong in ({**written, "backbone": "resnet18"}, {**written, "onnx": None}):
        (run / "model.json").write_text(json.dumps(wrong))
        with pytest.raises(CheckpointError, match="not a model card"):
            load_card(run)


IN_ORT: dict[str, dict[str, Any]] = {
    "float32": {},
    "channels last": {"layout": "NHWC"},
    "bytes": {"layout": "NHWC", "kind": "uint8", "before": (("Div", (255.0,)),)},
    "float16": {"kind": "float16"},
    "a batch of 4": {"batch": 4},
}


@pytest.mark.parametrize("kind", IN_ORT)
def test_onnx_runtime_gives_the_rows_of_openvino(kind: str, tmp_path: Path) -> None:
    """The code of the GPU, run on the CPU, for batches that are no multiple of its own."""
    given = IN_ORT[kind]
    model = classifier(**given)
    layout, number = given.get("layout", "NCHW"), given.get("kind", "float32")
    described = card(layout=layout, type=number)
    data = model.SerializeToString()
    save_onnx_checkpoint(tmp_path, data, described)
    pixels = np.random.default_rng(1).integers(0, 256, (7, SIZE, SIZE, 3), dtype=np.uint8)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    files = read_checkpoint(tmp_path)
    ours, _ = open_checkpoint(
        tmp_path, identity=files.identity, device="cpu", precision="float32", group=8
    )
    other = OnnxRuntime(data, described, device=torch.device("cpu"), file=tmp_path)
    prepared = pixels if number == "uint8" else normalized(pixels).astype(number)
    wanted = sigmoid(expected(model, prepared, layout=layout, step=given.get("batch")))
    for runtime in (ours, other):
        found = runtime.probabilities(images)
        np.testing.assert_allclose(found, wanted, atol=1e-5)
        assert found.dtype == np.float32
        assert runtime.probabilities(images[:0]).shape == (0, 5)


def test_a_gpu_needs_the_cuda_provider(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with the cure; bf16 is not made of a float32 graph."""
    files = read_checkpoint(run)
    gpu = Device("cuda", 0)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(
        DeviceError, match=r"pip install 'vocscore\[onnx-gpu\]'; or use `device='cpu'`"
    ):
        open_on_gpu(files, CARD, Asked(gpu, "float32", 8))
    with pytest.raises(DeviceError, match=r"`precision='bf16'`: .* Use `precision='float32'`"):
        open_on_gpu(files, CARD, Asked(gpu, "bf16", 8))


def score(run: Path, *more: object) -> Any:
    folder = run.parent
    write_images(folder / "images", number=3)
    out = folder / "rows.csv"
    return invoke("score", folder / "images", "-m", run, "-o", out, "-q", "--device", "cpu", *more)


def rewritten(run: Path, model: Any) -> None:
    """Put another model into a run, with the hash that its card has to have."""
    data = model if isinstance(model, bytes) else model.SerializeToString()
    (run / "model.onnx").write_bytes(data)
    written = json.loads((run / "model.json").read_text())
    written["weights_sha256"] = hashlib.sha256(data).hexdigest()
    (run / "model.json").write_text(json.dumps(written))


def external() -> Any:
    model = classifier()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    return model


def renamed() -> Any:
    model = classifier()
    model.graph.input[0].name = model.graph.node[0].input[0] = "pixels"
    return model


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (b"nothing", "not a model in ONNX"),
        (classifier().SerializeToString()[:200], "not a model in ONNX"),
        (external(), "its weights are in other files. Import the model again"),
        (classifier(classes=7), "gives 7 values per image, but the card names 5 classes"),
        (renamed(), "has no input 'images'"),
        (classifier(kind="uint8"), "its inputs are not those of the card"),
        (classifier(layout="NHWC"), "does not take images of shape (32, 3, 32, 32)"),
    ],
)
def test_a_run_of_another_model_gives_one_line(model: Any, why: str, run: Path) -> None:
    """Where and what, exit code 2; no file that a model names is opened."""
    rewritten(run, model)
    result = score(run)
    assert result.exit_code == 2
    assert f"{run / 'model.onnx'}: " in result.output
    assert why in result.output
    assert result.output.count("\n") == 1


def test_a_damaged_file_is_noticed(run: Path) -> None:
    """The card has the hash of the model."""
    data = bytearray((run / "model.onnx").read_bytes())
    data[-20] ^= 1
    (run / "model.onnx").write_bytes(data)
    assert "not the weights that model.json was written with" in score(run).output
    (run / "model.onnx").unlink()
    assert f"{run / 'model.onnx'}: No such file" in score(run).output


def test_info_shows_how_images_are_taken(run: Path) -> None:
    """With size and hash of model.onnx."""
    shown = invoke("info", run).output
    assert "input images, layout NCHW, type float32, output found" in shown
    assert f"{(run / 'model.onnx').stat().st_size:,}" in shown
    assert read_checkpoint(run).identity in shown


def test_what_needs_a_torch_network_is_refused(run: Path) -> None:
    """Features, and training from its weights, each with one line."""
    import vocscore

    write_images(run.parent / "images", number=2)
    with pytest.raises(CheckpointError, match="an ONNX model, which PyTorch cannot run"):
        vocscore.load(run).features(run.parent / "images")
    from vocscore.models.weight_files import check_weights

    for named in (run, run / "model.onnx"):
        with pytest.raises(CheckpointError, match="a model in ONNX, which cannot be trained"):
            check_weights(str(named), backbone="resnet18")
    result = invoke("score", run, "-m", run / "model.onnx", "-o", run.parent / "x.csv")
    assert f"It is in {run}: name that folder." in result.output


@pytest.mark.parametrize(
    ("activation", "temperature"), [("sigmoid", 2.0), ("softmax", 1.5), ("none", 1.0)]
)
def test_a_run_is_exported_to_openvino(activation: str, temperature: float, tmp_path: Path) -> None:
    """With its activation and temperature inside; as ONNX it is there already."""
    from dataclasses import replace

    import openvino

    model = classifier(activation="Sigmoid" if activation == "none" else None)
    described = replace(CARD, activation=activation, temperature=temperature)
    save_onnx_checkpoint(tmp_path / "run", model.SerializeToString(), described)
    pixels = write_images(tmp_path / "images")
    out = tmp_path / "out.xml"
    result = invoke("export", tmp_path / "run", "-o", out, "--images", tmp_path / "images", "-q")
    assert result.exit_code == 0, result.output
    exact = {"INFERENCE_PRECISION_HINT": "f32"}  # by default bf16 where the processor has it
    found = openvino.Core().compile_model(out, "CPU", exact)(pixels)[0]
    outputs = expected(model, normalized(pixels)) / temperature
    powers = np.exp(outputs)
    wanted = {
        "sigmoid": sigmoid(outputs),
        "softmax": powers / powers.sum(axis=1, keepdims=True),
        "none": outputs,
    }[activation]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    again = ("export", tmp_path / "run", "-o", out, "--images", tmp_path / "images", "--overwrite")
    assert "largest difference in probability from the run: " in invoke(*again).output
    refused = invoke("export", tmp_path / "run", "-o", tmp_path / "out.onnx", "--drawn")
    assert refused.exit_code == 2
    assert "Use that file, or write OpenVINO's format with -o FILE.xml." in refused.output


def test_a_run_is_quantized(voc_tree: Path, tmp_path: Path) -> None:
    """`score --precision int8` runs what `quantize` made of the graph, here of batches of 4."""
    packed = tmp_path / "packed"
    assert invoke("pack", voc_tree, "-o", packed, "-q").exit_code == 0
    from dataclasses import replace

    classes = tuple(json.loads((packed / "dataset.json").read_text())["classes"])
    model = classifier(classes=len(classes), batch=4)
    described = replace(card(batch=4), classes=classes)
    save_onnx_checkpoint(tmp_path / "run", model.SerializeToString(), described)
    limits = ("--max-map-drop", 1, "--max-changed", 1)
    made = invoke("quantize", tmp_path / "run", "--shards", packed, *limits, "-q")
    assert made.exit_code == 0, made.output
    found = {}
    for precision in ("float32", "int8"):
        out = tmp_path / f"{precision}.csv"
        scoring = ("-q", "--precision", precision, "--device", "cpu")
        scored = invoke("score", packed, "-m", tmp_path / "run", "-o", out, *scoring)
        assert scored.exit_code == 0, scored.output
        found[precision], _ = rows(out)
    assert 0 < np.abs(found["int8"] - found["float32"]).mean() < 0.02


def test_an_export_of_ours_needs_no_option(tmp_path: Path, tiny_backbones: None) -> None:
    """Classes, thresholds and preprocessing are read from the file, or from the JSON beside it."""
    from vocscore.models.checkpoint import save_checkpoint
    from vocscore.models.network import build_network

    torch.manual_seed(3)
    network = build_network("tiny", classes=5, weights="none", size=64)
    torch.nn.init.normal_(network.head.weight, std=3.0)
    own = ModelCard(
        "tiny",
        CLASSES,
        Preprocess(size=64, upright=False),
        0.5,
        "none",
        thresholds=(0.5, 0.4, 1.5, 0.6, 0.2),
        temperature=1.7,
    )
    save_checkpoint(tmp_path / "own", network, own)
    write_images(tmp_path / "images", size=80)
    file = tmp_path / "own.onnx"
    images = ("--images", tmp_path / "images", "-q")
    assert invoke("export", tmp_path / "own", "-o", file, *images).exit_code == 0
    for name in ("metadata", "beside"):
        made = invoke("import-model", file, "-o", tmp_path / name, *images)
        assert made.exit_code == 0, made.output
        strip_metadata(file)
    found = {}
    for name in ("own", "metadata", "beside"):
        out = tmp_path / f"{name}.csv"
        scored = invoke(
            *("score", tmp_path / "images", "-m", tmp_path / name, "-o", out, "-q"),
            *("--device", "cpu"),
        )
        assert scored.exit_code == 0, scored.output
        found[name] = rows(out)
    for name in ("metadata", "beside"):
        np.testing.assert_allclose(found[name][0], found["own"][0], atol=2e-6)
        assert found[name][1] == found["own"][1], "the labels, by the thresholds"
    other = tmp_path / "classes.txt"
    other.write_text("b\na\nc\nd\ne\n")
    refused = invoke("import-model", file, "-o", tmp_path / "x", "--classes", other, *images)
    assert refused.exit_code == 2
    assert "Omit --classes" in refused.output


def strip_metadata(file: Path) -> None:
    import onnx

    model = onnx.load(file)
    del model.metadata_props[:]
    file.write_bytes(model.SerializeToString())


def test_eval_reads_the_rows_of_a_run_in_onnx(run: Path) -> None:
    """The record beside the rows names the backbone and the hash."""
    assert score(run).exit_code == 0
    shown = invoke("info", run.parent / "rows.csv").output
    assert "onnx" in shown
    assert read_checkpoint(run).identity in shown
    with (run.parent / "rows.csv").open(newline="") as lines:
        assert len(list(csv.reader(lines))) == 4
