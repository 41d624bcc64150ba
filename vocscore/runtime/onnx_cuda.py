"""Runs models in ONNX on an NVIDIA GPU, with ONNX Runtime's CUDA provider.

Not tested on a GPU: its wheel, onnxruntime-gpu, was not there. The tests run the same code on the
CPU.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vocscore.errors import CheckpointError, DeviceError
from vocscore.models.onnx_external import has_external_data
from vocscore.pipeline.devices import bring, is_gpu, on_device
from vocscore.runtime.base import Runtime, check_images
from vocscore.runtime.cuda import fetched_later

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.models.card import ModelCard
    from vocscore.models.checkpoint_files import CheckpointFiles
    from vocscore.runtime.asked import Asked
    from vocscore.runtime.base import Results

PROVIDER = "CUDAExecutionProvider"


def open_on_gpu(files: CheckpointFiles, card: ModelCard, asked: Asked) -> OnnxRuntime:
    """Prepare the ONNX file of a checkpoint for scoring on a GPU.

    Args:
        files: the checkpoint.
        card: its card, maybe for images of another size.
        asked: has the device and the precision.

    Raises:
        DeviceError: ONNX Runtime or its CUDA provider is missing, or the precision is bf16.
        CheckpointError: the file was replaced or damaged, or does not fit the card.
    """
    if asked.precision != "float32":
        raise DeviceError(
            f"`precision={asked.precision!r}`: on a GPU, a model in ONNX is computed as it was "
            "written. Use `precision='float32'`, or `device='cpu'`."
        )
    cure = "Install it: pip install 'vocscore[onnx-gpu]'; or use `device='cpu'`."
    try:
        import onnxruntime
    except ImportError as error:
        raise DeviceError(f"a model in ONNX needs ONNX Runtime on a GPU. {cure}") from error
    if PROVIDER not in onnxruntime.get_available_providers():
        raise DeviceError(
            "a model in ONNX needs ONNX Runtime with CUDA on a GPU, and the one installed has "
            f"none. {cure}"
        )
    return OnnxRuntime(
        files.verified_weights(),
        card,
        device=torch.device(str(asked.device)),
        file=files.weights_file,
        logits=asked.logits,
    )


class OnnxRuntime(Runtime):
    """A `Runtime` of a model in ONNX.

    Args:
        data: the bytes of its file.
        card: of the same checkpoint.
        device: a GPU; on the CPU the same code runs for the tests.
        file: for messages.
        logits: whether the results are logits in place of probabilities.
    """

    def __init__(
        self,
        data: bytes,
        card: ModelCard,
        *,
        device: torch.device,
        file: Path,
        logits: bool = False,
    ) -> None:
        """Open the model.

        Raises:
            CheckpointError: ONNX Runtime cannot open it.
        """
        assert card.onnx is not None
        self._card = card
        self._file = file
        self._logits = logits
        self._signature = card.onnx
        self._device = device
        self._type = getattr(torch, card.onnx.type)
        try:
            self._session = _session(data, device)
        except Exception as error:
            raise CheckpointError(
                f"{file}: ONNX Runtime cannot open it ({_line(error)})."
            ) from error
        # The file's own number: OpenVINO may change it, ONNX Runtime does not.
        fixed = self._session.get_inputs()[0].shape[0]
        self._batch: int | None = fixed if isinstance(fixed, int) else card.onnx.batch

    @torch.inference_mode()
    def submit(self, images: torch.Tensor) -> Results:
        """Compute a batch; see `Runtime.submit`."""
        check_images(images, size=self._card.preprocess.size)
        if len(images) == 0:
            none = np.empty((0, len(self._card.classes)), np.float32)
            return lambda: none
        step = self._batch or len(images)
        with on_device(self._device):
            pixels = self._prepared(bring(images, self._device))
            parts = [self._run(part, step) for part in torch.split(pixels, step)]
            outputs = torch.cat(parts)
            return fetched_later(
                outputs if self._logits else self._card.probabilities(outputs), images
            )

    def _prepared(self, images: torch.Tensor) -> torch.Tensor:
        """Images as the model takes them, contiguous."""
        if not self._signature.takes_bytes:
            images = self._card.preprocess.normalize(images)
        if self._signature.layout == "NHWC":
            images = images.permute(0, 2, 3, 1)
        return images.to(self._type).contiguous(memory_format=torch.contiguous_format)

    def _run(self, pixels: torch.Tensor, step: int) -> torch.Tensor:
        """Outputs, float32 (N, C); fewer images than the model takes are padded with zeros."""
        count = len(pixels)
        if self._batch is not None and count < step:
            blank = pixels.new_zeros((step - count, *pixels.shape[1:]))
            pixels = torch.cat([pixels, blank])
        binding = self._session.io_binding()
        kind, number = self._device.type, self._device.index or 0
        binding.bind_input(
            self._signature.input,
            kind,
            number,
            np.dtype(self._signature.type),
            tuple(pixels.shape),
            pixels.data_ptr(),
        )
        binding.bind_output(self._signature.output, "cpu")
        if is_gpu(self._device):  # ONNX Runtime computes on a stream of its own
            torch.cuda.current_stream().synchronize()
        try:
            self._session.run_with_iobinding(binding)
        except Exception as error:  # ONNX Runtime's errors have no common class
            raise CheckpointError(
                f"{self._file}: ONNX Runtime cannot run it ({_line(error)})."
            ) from error
        found = binding.copy_outputs_to_cpu()[0]
        outputs = torch.from_numpy(np.asarray(found, np.float32))
        return outputs.reshape(len(pixels), len(self._card.classes))[:count]


def _session(data: bytes, device: torch.device) -> Any:
    import onnxruntime

    if has_external_data(data):  # ONNX Runtime would read any file that it names
        raise ValueError("its weights are in other files")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not is_gpu(device):
        options.intra_op_num_threads = torch.get_num_threads()
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    with suppress(AttributeError):  # the libraries of CUDA that torch brings
        onnxruntime.preload_dlls()
    chosen = {"device_id": str(device.index or 0), "use_tf32": "0"}
    session = onnxruntime.InferenceSession(
        data, options, providers=[(PROVIDER, chosen), "CPUExecutionProvider"]
    )
    if PROVIDER not in session.get_providers():  # it only logs that CUDA could not be loaded
        raise RuntimeError("its CUDA provider cannot be loaded")
    return session


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].split(" : ")[-1].strip().rstrip(".")
