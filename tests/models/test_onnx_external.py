"""Data outside of an ONNX file is found wherever a tensor may be, without the package onnx."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from tiny_onnx import classifier

from vocscore.models.onnx_external import has_external_data


def nested(tensor: TensorProto) -> dict[str, Any]:
    """Models that hold a tensor at every place where there may be one."""
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(np.ones(1, np.float32)),
        numpy_helper.from_array(np.zeros(1, np.int64)),
        [4],
    )
    sparse.values.CopyFrom(tensor)
    constant = helper.make_node("Constant", [], ["c"], value=tensor)
    inner = helper.make_graph([constant], "inner", [], [])
    branch = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    function = helper.make_function(
        "own", "F", [], ["c"], [constant], [helper.make_opsetid("", 17)]
    )
    graphs = {
        "weights": helper.make_graph([], "g", [], [], [tensor]),
        "a constant": helper.make_graph([constant], "g", [], []),
        "a branch": helper.make_graph([branch], "g", [], []),
        "sparse weights": helper.make_graph([], "g", [], [], sparse_initializer=[sparse]),
    }
    models = {name: helper.make_model(graph) for name, graph in graphs.items()}
    empty = helper.make_graph([], "g", [], [])
    return {**models, "a function": helper.make_model(empty, functions=[function])}


def test_external_data_is_found_wherever_it_is() -> None:
    """Without the package onnx: by a location, or by the mark alone."""
    for way in ("neither", "location", "mark"):
        tensor = numpy_helper.from_array(np.ones(1, np.float32), "weights")
        if way == "location":
            tensor.external_data.add(key="location", value="x")
        elif way == "mark":
            tensor.data_location = TensorProto.EXTERNAL
        for name, model in nested(tensor).items():
            assert has_external_data(model.SerializeToString()) is (way != "neither"), (name, way)


def test_damaged_bytes_end_in_an_error_of_their_own() -> None:
    """Truncated or changed anywhere: an answer or ValueError, and at once."""
    data = classifier(flatten="Reshape", batch=1).SerializeToString()
    random = np.random.default_rng(0)
    for _ in range(300):
        broken = bytearray(data[: random.integers(len(data) + 1)])
        for at in random.integers(0, max(len(broken), 1), 3):
            if broken:
                broken[at] = random.integers(256)
        try:
            assert has_external_data(bytes(broken)) in (True, False)
        except ValueError:
            continue
