"""The exported model of a run whose network is an ONNX file: a graph of OpenVINO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vocscore.errors import ExportError
from vocscore.runtime.load import converted, open_graph, shape_of

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from vocscore.models.checkpoint_files import CheckpointFiles

_GROUP = 16


class ExportedOnnx:
    """Pixels in, probabilities out; what `ExportedModel` is for a network of PyTorch.

    Args:
        files: the checkpoint.
        out: the new file, for messages.
    """

    def __init__(self, files: CheckpointFiles, *, out: Path) -> None:
        """Convert the ONNX file.

        Raises:
            ExportError: it takes a fixed number of images, or a file in ONNX is wanted.
            CheckpointError: it is damaged.
        """
        card = files.card
        if out.suffix == ".onnx":
            raise ExportError(
                f"{files.weights_file}: is the network, in ONNX already. "
                "Use that file, or write OpenVINO's format with `output='FILE.xml'`."
            )
        if card.onnx is not None and card.onnx.batch is not None:
            raise ExportError(
                f"{files.folder}: its network takes {card.onnx.batch} images per call, and an "
                "export takes any number. Use its file in ONNX."
            )
        self._card = card
        self._graph = converted(
            files, card, shape=shape_of(card, precision="float32", group=_GROUP)
        )

    def expected(self, images: torch.Tensor) -> NDArray[np.float32]:
        """Probabilities as scoring computes them: uint8 (N, 3, S, S) -> float32 (N, C)."""
        shape = shape_of(self._card, precision="float32", group=_GROUP)
        return open_graph(self._graph, self._card, shape=shape).probabilities(images)

    def graph(self) -> Any:
        """An `openvino.Model`: uint8 (any, S, S, 3) -> float32 (any, C), 0 to 1."""
        import openvino
        from openvino import opset13 as ops

        graph = self._graph.clone()
        size = self._card.preprocess.size
        found = graph.output(0).get_node().input_value(0)
        if self._card.activation != "none":
            scaled = ops.divide(found, ops.constant(np.float32(self._card.temperature)))
            found = (
                ops.sigmoid(scaled)
                if self._card.activation == "sigmoid"
                else ops.softmax(scaled, 1)
            ).output(0)
        made = openvino.Model([ops.result(found)], graph.get_parameters(), "network")
        try:
            made.reshape([-1, size, size, 3])
        except RuntimeError as error:
            raise ExportError("its network does not take batches of any size.") from error
        return made
