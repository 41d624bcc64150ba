"""Classifiers in ONNX of milliseconds, of every kind that people have, and their oracle."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from vocscore.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

SIZE = 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORMALIZED = ("--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225")
_TYPES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "float64": TensorProto.DOUBLE,
    "uint8": TensorProto.UINT8,
    "int32": TensorProto.INT32,
}


def classifier(
    *,
    classes: int = 5,
    batch: int | str = "N",
    size: int | str = SIZE,
    layout: str = "NCHW",
    kind: str = "float32",
    computes: str = "float32",
    activation: str | None = None,
    flatten: str = "Flatten",
    opset: int = 17,
    before: tuple[tuple[str, tuple[float, ...]], ...] = (),
    ir_version: int = 8,
) -> Any:
    """Convolution, pooling, linear layer; `before` is arithmetic on the pixels, in NCHW.

    Returns:
        An `onnx.ModelProto`: input 'images', output 'found'.
    """
    random = np.random.default_rng(7)
    number = np.dtype(computes)
    constants = {
        "kernel": 0.5 * random.normal(size=(8, 3, 3, 3)),
        "weight": 2 * random.normal(size=(8, classes)),
        "bias": random.normal(size=classes),
    }
    nodes, at = [], "images"

    def add(operator: str, *more: str, **attributes: Any) -> None:
        nonlocal at
        made = f"v{len(nodes)}"
        nodes.append(helper.make_node(operator, [at, *more], [made], **attributes))
        at = made

    if kind != computes:
        add("Cast", to=_TYPES[computes])
    if layout == "NHWC":
        add("Transpose", perm=[0, 3, 1, 2])
    for index, (operator, values) in enumerate(before):
        constants[f"before{index}"] = np.array(values).reshape(1, -1, 1, 1)
        add(operator, f"before{index}")
    add("Conv", "kernel", kernel_shape=[3, 3], strides=[2, 2])
    add("Relu")
    add("GlobalAveragePool")
    weights = [numpy_helper.from_array(v.astype(number), k) for k, v in constants.items()]
    if flatten == "Flatten":
        add("Flatten", axis=1)
    elif flatten == "Reshape":  # as exporters write it that know only one batch
        weights.append(numpy_helper.from_array(np.array([batch, 8]), "shape"))
        add("Reshape", "shape")
    if flatten == "none":  # the classes come from a convolution: (N, C, 1, 1)
        weights[1] = numpy_helper.from_array(
            constants["weight"].T.reshape(classes, 8, 1, 1).astype(number), "weight"
        )
        add("Conv", "weight", "bias", kernel_shape=[1, 1])
    else:
        add("Gemm", "weight", "bias")
    if activation is not None:
        add(activation, **({"axis": 1} if "max" in activation else {}))
    nodes[-1].output[0] = "found"
    channels_last = layout == "NHWC"
    shape = [batch, size, size, 3] if channels_last else [batch, 3, size, size]
    output = [batch, classes, 1, 1] if flatten == "none" else [batch, classes]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("images", _TYPES[kind], shape)],
        [helper.make_tensor_value_info("found", _TYPES[computes], output)],
        weights,
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version
    )


def expected(
    model: Any, pixels: np.ndarray, *, layout: str = "NCHW", step: int | None = None
) -> np.ndarray:
    """What ONNX Runtime computes: pixels as the model takes them, but NHWC -> (N, C)."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    ordered = pixels if layout == "NHWC" else pixels.transpose(0, 3, 1, 2)
    found = []
    step = step or len(ordered)
    for start in range(0, len(ordered), step):
        part = ordered[start : start + step]
        full = np.concatenate([part, np.zeros_like(ordered[:1]).repeat(step - len(part), 0)])
        (output,) = session.run(["found"], {"images": np.ascontiguousarray(full)})
        found.append(np.asarray(output, np.float64).reshape(step, -1)[: len(part)])
    return np.concatenate(found)


def normalized(pixels: np.ndarray) -> np.ndarray:
    return ((pixels / 255 - np.array(MEAN)) / np.array(STD)).astype(np.float32)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(logits, -80, 80)))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def write_images(folder: Path, *, number: int = 11, size: int = SIZE) -> np.ndarray:
    """Write images that need no resizing; return their pixels, uint8 (N, S, S, 3)."""
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(3)
    small = random.integers(0, 256, (number, size // 8, size // 8, 3), dtype=np.uint8)
    pixels = small.repeat(8, axis=1).repeat(8, axis=2)
    for index, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{index:03}.png")
    return pixels


def write_classes(file: Path, number: int = 5) -> Path:
    file.write_text("".join(f"class {index}\n" for index in range(number)))
    return file


def rows(file: Path) -> tuple[np.ndarray, list[str]]:
    """Probabilities and labels of a CSV that `score` wrote."""
    with file.open(newline="") as lines:
        found = list(csv.reader(lines))[1:]
    return np.array([row[3:-1] for row in found], np.float64), [row[-1] for row in found]


def invoke(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])
