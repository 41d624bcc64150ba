"""Finds the output of an ONNX graph with one value per class, and what it has been through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vocscore.errors import ImportModelError, OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ACTIVATIONS = {"Sigmoid": "sigmoid", "Softmax": "softmax", "LogSoftmax": "softmax"}
_PASSING = ("Cast", "Identity", "Flatten", "Reshape", "Squeeze")


def choose_output(
    columns: Mapping[str, int | None],
    *,
    file: Path,
    wanted: str | None,
    classes: int | None,
) -> str:
    """Choose the output with the values of the classes.

    Args:
        columns: name of every output -> its number of values per image; None: it has another form.
        file: for messages.
        wanted: the name that the user gave.
        classes: number of classes, if it is known.

    Raises:
        ImportModelError: no output has this many values.
        OptionError: there is no such output, or several fit.
    """
    names = ", ".join(columns)
    if wanted is not None and wanted not in columns:
        raise OptionError(f"`output_name` is {wanted!r}, but {file} has the outputs {names}.")
    fitting = {
        name: count
        for name, count in columns.items()
        if count is not None and wanted in (None, name)
    }
    if classes is not None and len(fitting) > 1:
        fitting = {name: count for name, count in fitting.items() if count == classes}
    if not fitting:
        many = f" {classes}" if classes is not None else ""
        raise ImportModelError(
            f"{file}: no output has one value per class ({names} for{many} classes). Only "
            "classifiers are supported."
        )
    if len(fitting) > 1:
        raise OptionError(
            f"{file}: the outputs {', '.join(fitting)} all fit. Name one with `output_name`."
        )
    name, count = next(iter(fitting.items()))
    if classes is not None and count != classes:
        raise ImportModelError(
            f"{file}: gives {count} values per image, but there are {classes} classes. Name the "
            "classes of this model with `classes`, one per line."
        )
    return name


def own_activation(model: Any, output: str) -> tuple[str, Any] | None:
    """Return the activation that a graph ends in, and its layer; None: no known one.

    Args:
        model: an `onnx.ModelProto`.
        output: name of the output.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    node = makers.get(output)
    while node is not None and node.op_type in _PASSING and node.input:
        node = makers.get(node.input[0])
    if node is None or node.domain not in ("", "ai.onnx"):
        return None
    kind = _ACTIVATIONS.get(node.op_type)
    return None if kind is None else (kind, node)


def without_activation(node: Any) -> None:
    """Let a layer pass its input on: the graph then gives logits, and the card has the activation.

    A logarithm of softmax stays: its softmax is the same.
    """
    if node.op_type != "LogSoftmax":
        node.op_type = "Identity"
        del node.attribute[:]


def keep_output(model: Any, output: str) -> None:
    """Remove the other outputs."""
    for each in [each for each in model.graph.output if each.name != output]:
        model.graph.output.remove(each)
