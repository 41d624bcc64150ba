"""OpenCV in a DataLoader.

https://docs.opencv.org/4.x/da/d6e/tutorial_py_geometric_transformations.html: INTER_AREA is
preferred for shrinking, INTER_LINEAR is among those for zooming; only the first smooths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bench.peers.dataloader import TorchLoader

if TYPE_CHECKING:
    from bench.peers.task import Loader, Task
    from vocscore.pipeline.preprocess import Preprocess


class ReadOpenCV:
    """`imread` and `resize`; torch normalizes."""

    def __init__(self, preprocess: Preprocess) -> None:
        """Keep what is done to each image."""
        self._preprocess = preprocess

    def __call__(self, file: str) -> torch.Tensor:
        """One image, float32 (3, size, size)."""
        import cv2

        size = self._preprocess.size
        image: Any = cv2.imread(file, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        shrinks = min(image.shape[:2]) > size
        way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        image = cv2.cvtColor(cv2.resize(image, (size, size), interpolation=way), cv2.COLOR_BGR2RGB)
        planes = np.ascontiguousarray(image.transpose(2, 0, 1))
        return self._preprocess.normalize(torch.from_numpy(planes)[None])[0]


def _one_thread(_worker: int) -> None:
    """A worker a core is enough; OpenCV would start a thread a core in each."""
    import cv2

    cv2.setNumThreads(0)


def open_opencv(task: Task) -> Loader:
    """DataLoader, OpenCV."""
    import cv2  # noqa: F401 - absent where it is not installed, not in a worker later

    return TorchLoader(task, ReadOpenCV(task.preprocess), worker_init=_one_thread)
