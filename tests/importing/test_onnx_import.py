"""Models in ONNX become runs: the rows that they score are ONNX Runtime's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny_onnx import (
    NORMALIZED,
    SIZE,
    classifier,
    expected,
    invoke,
    normalized,
    rows,
    sigmoid,
    softmax,
    write_classes,
    write_images,
)

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def brought(folder: Path, model: Any, *options: object, classes: int = 5) -> Result:
    """Import a model, or bytes, as `folder / run`."""
    file = folder / "model.onnx"
    file.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    names = write_classes(folder / "classes.txt", classes)
    write_images(folder / "images")
    return invoke(
        *("import-model", file, "--classes", names, "-o", folder / "run", "-q"),
        *("--images", folder / "images", *options),
    )


def scored(folder: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return pixels, and what `score` writes about them."""
    pixels = write_images(folder / "images")
    out = folder / "rows.csv"
    result = invoke(
        *("score", folder / "images", "-m", folder / "run", "-o", out, "-q", "--device", "cpu")
    )
    assert result.exit_code == 0, result.output
    return pixels, *rows(out)


KINDS: dict[str, dict[str, Any]] = {
    "dynamic batch": {},
    "batch of 1": {"batch": 1},
    "batch of 8": {"batch": 8},
    "batch of 1 written into a layer": {"batch": 1, "flatten": "Reshape"},
    "batch of 8 written into a layer": {"batch": 8, "flatten": "Reshape"},
    "channels last": {"layout": "NHWC"},
    "float16": {"kind": "float16", "computes": "float16"},
    "float16 inside": {"computes": "float16"},
    "float64": {"kind": "float64", "computes": "float64"},
    "opset 11": {"opset": 11},
    "opset 13": {"opset": 13},
    "opset 21": {"opset": 21, "ir_version": 10},
    "output of a convolution": {"flatten": "none"},
    "1000 classes": {"classes": 1000},
}

RUN_IN = {name: {"kind": "float32", "computes": "float32"} for name in ("float16", "float64")}
"""The oracle computes these in float32: in float64 ONNX Runtime has no convolution."""


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_those_of_onnx_runtime(kind: str, tmp_path: Path) -> None:
    """Whatever the layout, the type, the batch and the opset, a row is its output's sigmoid."""
    given = KINDS[kind]
    model = classifier(**given)
    result = brought(tmp_path, model, *NORMALIZED, classes=given.get("classes", 5))
    assert result.exit_code == 0, result.output
    pixels, found, _ = scored(tmp_path)
    batch = given.get("batch")
    logits = expected(
        classifier(**{**given, **RUN_IN.get(kind, {})}),
        normalized(pixels),
        layout=given.get("layout", "NCHW"),
        step=batch,
    )
    tolerance = 1e-5 if "float16" not in kind else 1e-2  # its weights have 11 bits
    np.testing.assert_allclose(found, sigmoid(logits), atol=tolerance)
    assert found.std(axis=0).max() > 0.01, "the rows must differ, or this test shows nothing"


@pytest.mark.parametrize("kind", ["uint8", "int32"])
def test_whole_numbers_are_pixels_as_they_are(kind: str, tmp_path: Path) -> None:
    """A model of bytes needs no mean and std, and refuses them."""
    model = classifier(kind=kind, before=(("Div", (255.0,)),), layout="NHWC")
    assert brought(tmp_path, model).exit_code == 0
    pixels, found, _ = scored(tmp_path)
    wanted = sigmoid(expected(model, pixels.astype(kind), layout="NHWC"))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    refused = brought(tmp_path, model, *NORMALIZED, "--overwrite")
    assert refused.exit_code == 2
    assert "normalizes them itself. Omit --mean and --std" in refused.output


@pytest.mark.parametrize(
    ("before", "largest"),
    [
        ((("Div", (255.0,)),), 255),
        ((("Mul", (1 / 255,)), ("Sub", (0.4, 0.5, 0.3)), ("Div", (0.2, 0.3, 0.25))), 255),
        ((("Sub", (123.0, 116.0, 103.0)), ("Div", (58.0, 57.0, 57.0))), 255),
        ((("Sub", (123.0, 116.0, 103.0)),), 255),
        ((("Sub", (127.5,)), ("Mul", (1 / 127.5,))), 255),
        ((("Sub", (0.485, 0.456, 0.406)), ("Div", (0.229, 0.224, 0.225))), 1),
        ((("Mul", (2.0,)), ("Add", (-1.0,))), 1),
    ],
)
def test_normalization_inside_the_graph_is_seen(
    before: tuple[tuple[str, tuple[float, ...]], ...], largest: int, tmp_path: Path
) -> None:
    """A graph that starts with a mean and a std tells whether it takes 0 to 255 or 0 to 1."""
    model = classifier(before=before)
    result = brought(tmp_path, model)
    assert result.exit_code == 0, result.output
    pixels, found, _ = scored(tmp_path)
    given = (pixels * (largest / 255)).astype(np.float32)
    np.testing.assert_allclose(found, sigmoid(expected(model, given)), atol=1e-4)


def test_what_the_graph_does_not_tell_is_asked_for(tmp_path: Path) -> None:
    """Mean and std, size, layout: each by the option that gives it."""
    assert "Add --mean and --std" in brought(tmp_path, classifier()).output
    assert "--size PIXELS" in brought(tmp_path, classifier(size="S"), *NORMALIZED).output
    assert "belong together" in brought(tmp_path, classifier(), *NORMALIZED[:2]).output
    unknown = classifier()
    for side in unknown.graph.input[0].type.tensor_type.shape.dim[1:]:
        side.dim_param = f"any{len(side.dim_param)}"
    unknown.graph.node.insert(0, helper.make_node("Relu", ["images"], ["plain"]))
    unknown.graph.node[1].input[0] = "plain"
    asked = brought(tmp_path, unknown, *NORMALIZED, "--size", SIZE)
    assert "--layout NCHW" in asked.output
    answered = (*NORMALIZED, "--size", SIZE, "--layout", "NCHW")
    assert brought(tmp_path, unknown, *answered).exit_code == 0


def test_the_first_convolution_tells_the_layout(tmp_path: Path) -> None:
    """Also where every axis is dynamic and the graph asks for its shape, as in Optimum's files."""
    model = classifier(size="S")
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "channels"
    model.graph.node.insert(0, helper.make_node("Shape", ["images"], ["shape of images"]))
    assert brought(tmp_path, model, *NORMALIZED, "--size", SIZE).exit_code == 0
    pixels, found, _ = scored(tmp_path)
    np.testing.assert_allclose(found, sigmoid(expected(model, normalized(pixels))), atol=1e-5)


def test_a_size_is_taken_where_any_fits(tmp_path: Path) -> None:
    """Dynamic axes take --size; fixed ones refuse another."""
    model = classifier(size="S")
    assert brought(tmp_path, model, *NORMALIZED, "--size", SIZE).exit_code == 0
    pixels, found, _ = scored(tmp_path)
    np.testing.assert_allclose(found, sigmoid(expected(model, normalized(pixels))), atol=1e-5)
    fixed = brought(tmp_path, classifier(), *NORMALIZED, "--size", 64, "--overwrite")
    assert fixed.exit_code == 2
    assert "takes images of 32 x 32 pixels only. Omit --size." in fixed.output


@pytest.mark.parametrize("activation", ["Sigmoid", "Softmax", "LogSoftmax"])
def test_an_activation_inside_the_graph_goes_to_the_card(activation: str, tmp_path: Path) -> None:
    """The rows stay the model's; with softmax the label is the most probable class."""
    assert brought(tmp_path, classifier(activation=activation), *NORMALIZED).exit_code == 0
    card = json.loads((tmp_path / "run" / "model.json").read_text())
    one = activation != "Sigmoid"
    assert card.get("activation", "sigmoid") == ("softmax" if one else "sigmoid")
    pixels, found, labels = scored(tmp_path)
    logits = expected(classifier(), normalized(pixels))
    np.testing.assert_allclose(found, softmax(logits) if one else sigmoid(logits), atol=1e-5)
    if one:
        assert labels == [f"class {row.argmax()}" for row in logits]


def test_activations_that_the_user_names(tmp_path: Path) -> None:
    """Logits take softmax or none; a graph's own activation is not applied again."""
    assert brought(tmp_path, classifier(), *NORMALIZED, "--activation", "softmax").exit_code == 0
    pixels, found, _ = scored(tmp_path)
    logits = expected(classifier(), normalized(pixels))
    np.testing.assert_allclose(found, softmax(logits), atol=1e-5)
    own = classifier(activation="Sigmoid")
    refused = brought(tmp_path, own, *NORMALIZED, "--activation", "softmax", "--overwrite")
    assert refused.exit_code == 2
    assert "ends in Sigmoid itself. Omit --activation." in refused.output
    kept = brought(tmp_path, own, *NORMALIZED, "--activation", "none", "--overwrite")
    assert kept.exit_code == 0, kept.output
    assert (tmp_path / "run" / "model.onnx").read_bytes() == own.SerializeToString()


def test_a_plain_file_is_kept_byte_for_byte(tmp_path: Path) -> None:
    """The run's model is the file, and its card has the file's hash; old versions refuse it."""
    model = classifier()
    assert brought(tmp_path, model, *NORMALIZED).exit_code == 0
    assert (tmp_path / "run" / "model.onnx").read_bytes() == model.SerializeToString()
    card = json.loads((tmp_path / "run" / "model.json").read_text())
    assert card["origin"]["sha256"] == card["weights_sha256"]
    assert (card["backbone"], card["format"]) == ("onnx", 3)


def test_a_batch_that_cannot_change_is_kept(tmp_path: Path) -> None:
    """Values per image of a batch of 4, added inside: rows are scored four at a time."""
    model = classifier(batch=4)
    shift = np.arange(20, dtype=np.float32).reshape(4, 5) / 10
    model.graph.initializer.append(numpy_helper.from_array(shift, "shift"))
    model.graph.node[-1].output[0] = "before"
    model.graph.node.append(helper.make_node("Add", ["before", "shift"], ["found"]))
    assert brought(tmp_path, model, *NORMALIZED).exit_code == 0
    assert json.loads((tmp_path / "run" / "model.json").read_text())["onnx"]["batch"] == 4
    pixels, found, _ = scored(tmp_path)
    wanted = sigmoid(expected(model, normalized(pixels), step=4))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def with_features(classes: int) -> Any:
    """A model with a second output, of 8 values per image."""
    model = classifier(classes=classes)
    flat = model.graph.node[-1].input[0]
    model.graph.output.insert(0, helper.make_tensor_value_info(flat, TensorProto.FLOAT, ["N", 8]))
    return model


def test_of_several_outputs_the_one_with_the_classes_is_taken(tmp_path: Path) -> None:
    """By the number of classes; where two have it, by --output-name."""
    assert brought(tmp_path, with_features(5), *NORMALIZED).exit_code == 0
    pixels, found, _ = scored(tmp_path)
    wanted = sigmoid(expected(classifier(), normalized(pixels)))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    both = brought(tmp_path, with_features(8), *NORMALIZED, "--overwrite", classes=8)
    assert both.exit_code == 2
    assert "found all fit. Name one with --output-name" in both.output
    named = (*NORMALIZED, "--overwrite", "--output-name")
    assert brought(tmp_path, with_features(8), *named, "found", classes=8).exit_code == 0
    absent = brought(tmp_path, with_features(8), *named, "nothing", classes=8)
    assert "--output-name is 'nothing', but" in absent.output


def test_weights_as_inputs(tmp_path: Path) -> None:
    """Old exporters list weights among the inputs; the image is the one that is no weight."""
    model = classifier(opset=11, ir_version=3)
    for tensor in model.graph.initializer:
        model.graph.input.insert(
            0, helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        )
    assert brought(tmp_path, model, *NORMALIZED).exit_code == 0
    pixels, found, _ = scored(tmp_path)
    np.testing.assert_allclose(found, sigmoid(expected(model, normalized(pixels))), atol=1e-5)


def outside(location: str, **more: str) -> bytes:
    """A model that takes one of its weights from another file."""
    model = classifier()
    tensor = model.graph.initializer[1]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=value)
    return bytes(model.SerializeToString())


def test_external_data_beside_the_model_becomes_part_of_it(tmp_path: Path) -> None:
    """As onnx itself saves it; the run needs no second file."""
    file = tmp_path / "model.onnx"
    onnx.save_model(
        classifier(),
        file,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
        convert_attribute=False,
    )
    assert (tmp_path / "weights.bin").stat().st_size > 100
    assert brought(tmp_path, file.read_bytes(), *NORMALIZED).exit_code == 0
    (tmp_path / "weights.bin").unlink()
    pixels, found, _ = scored(tmp_path)
    wanted = sigmoid(expected(classifier(), normalized(pixels)))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("../secret.bin", "outside its own folder"),
        ("/etc/hostname", "outside its own folder"),
        ("inner/../../secret.bin", "outside its own folder"),
        ("..", "outside its own folder"),
        ("", "outside its own folder"),
        ("C:\\secret.bin", "outside its own folder"),
        ("link.bin", "which is a link"),
        ("linked/secret.bin", "which is a link"),
        ("missing.bin", "is not there"),
        ("short.bin", "short.bin is truncated"),
    ],
)
def test_external_data_elsewhere_is_not_read(location: str, why: str, tmp_path: Path) -> None:
    """Neither by a path nor by a link does a model reach a file outside its own folder."""
    (tmp_path / "secret.bin").write_bytes(bytes(160))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link.bin").symlink_to("../secret.bin")
    (folder / "linked").symlink_to(tmp_path, target_is_directory=True)
    (folder / "short.bin").write_bytes(bytes(9))
    result = brought(folder, outside(location), *NORMALIZED)
    assert result.exit_code == 2
    assert why in result.output
    assert result.output.count("\n") == 1
    assert not (folder / "run").exists()


NAMES = ["classes.txt", "images", "model.onnx"]


def changed(**fields: Any) -> Any:
    """A model whose input has another type or shape."""
    model = classifier()
    kind, shape = fields.get("kind", TensorProto.FLOAT), fields.get("shape", ["N", 3, SIZE, SIZE])
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("images", kind, shape))
    return model


def own_operator(domain: str) -> Any:
    model = classifier(activation="Sigmoid")
    model.graph.node[-1].op_type, model.graph.node[-1].domain = "Swirl", domain
    model.opset_import.append(helper.make_opsetid("own", 1))
    return model


def two_inputs() -> Any:
    model = classifier()
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["N", 2]))
    return model


def quantized() -> Any:
    model = classifier()
    model.graph.node[0].op_type = "QLinearConv"
    return model


def with_nan() -> Any:
    model = classifier()
    model.graph.initializer[2].raw_data = np.full(5, np.nan, np.float32).tobytes()
    return model


BAD = {
    "nothing": (b"", "truncated, or not a model in ONNX"),
    "text": (b"hello, this is a text\n" * 9, "truncated, or not a model in ONNX"),
    "truncated": (classifier().SerializeToString()[:300], "truncated, or not a model in ONNX"),
    "its own layer": (own_operator("own"), "operations: own.Swirl"),
    "no such layer": (own_operator(""), "operations: Swirl"),
    "two inputs": (two_inputs(), "has 2 inputs (images, mask)"),
    "no image": (changed(shape=[1, 10]), "has shape (1, 10), not that of RGB images"),
    "gray": (changed(shape=["N", 1, 32, 32]), "has 1 channels, and images have 3"),
    "not square": (changed(shape=["N", 3, 32, 48]), "takes images of 32 x 48 pixels"),
    "text as input": (changed(kind=TensorProto.STRING), "its input 'images' is text, not images"),
    "7 classes": (classifier(classes=7), "gives 7 values per image, but there are 5 classes"),
    "quantized": (quantized(), "it has a layer QLinearConv"),
    "not a number": (with_nan(), "differ from those of ONNX Runtime by up to nan"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_gives_one_line(name: str, tmp_path: Path) -> None:
    """Where, what and the cure; an earlier run stays, and nothing is left behind."""
    assert brought(tmp_path, classifier(), *NORMALIZED).exit_code == 0
    before = {file: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    data, why = BAD[name]
    result = brought(tmp_path, data, *NORMALIZED, "--overwrite")
    assert result.exit_code == 2
    assert why in result.output
    assert result.output.count("\n") == 1
    assert {file: file.read_bytes() for file in (tmp_path / "run").iterdir()} == before
    assert sorted(f.name for f in tmp_path.iterdir()) == [*NAMES, "run"]


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    """At no length does half a file pass for a model, or end in a traceback."""
    data = classifier().SerializeToString()
    for length in range(0, len(data), len(data) // 12):
        result = brought(tmp_path, data[:length], *NORMALIZED)
        assert result.exit_code == 2, length
        assert result.output.count("\n") == 1


def test_classes_are_needed(tmp_path: Path) -> None:
    """An ONNX file of somebody else does not name them."""
    (tmp_path / "model.onnx").write_bytes(classifier().SerializeToString())
    result = invoke("import-model", tmp_path / "model.onnx", "-o", tmp_path / "run", *NORMALIZED)
    assert result.exit_code == 2
    assert "Give --classes FILE" in result.output
