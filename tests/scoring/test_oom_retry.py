from __future__ import annotations

import numpy as np
import pytest
import torch

from vocscore.errors import ScoreError
from vocscore.runtime import Runtime
from vocscore.scoring.engines.oom_retry import OomRetry


class SmallGpu(Runtime):
    """Answers with each image's first pixel; has memory for a few images.

    It runs out when images are submitted, or `late`, when their results are fetched.
    """

    def __init__(self, room, error=None, *, late=False):
        self.room = room
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        self.late = late
        self.asked = []

    def submit(self, images):
        self.asked.append(len(images))
        too_many = len(images) > self.room
        if too_many and not self.late:
            raise self.error

        def results():
            if too_many:
                raise self.error
            return images[:, 0, 0, :1].numpy().astype(np.float32)

        return results


def images(number):
    values = torch.arange(number, dtype=torch.uint8).view(-1, 1, 1, 1)
    return values.expand(-1, 3, 2, 2)


@pytest.mark.parametrize("late", [False, True], ids=["at submit", "at the results"])
@pytest.mark.parametrize("room", [1, 2, 3, 5, 31, 32, 33, 64])
@pytest.mark.parametrize("number", [1, 2, 33, 64])
def test_every_image_keeps_its_place_whatever_fits(room, number, late):
    """Rows are complete and in order for every size of memory and of batch."""
    retrying = OomRetry(SmallGpu(room, late=late))
    for _ in range(2):
        found = retrying.probabilities(images(number))
        assert found.ravel().tolist() == list(range(number))


def test_it_halves_says_so_and_keeps_to_it():
    """64 do not fit, 32 do not, 16 do: two lines, and no trying of more the next time."""
    gpu = SmallGpu(20)
    retrying = OomRetry(gpu)
    assert retrying.problems() == ()
    retrying.probabilities(images(64))
    assert gpu.asked == [64, 32, 16, 16, 16, 16]
    first, second = retrying.problems()
    assert "64 images did not fit into GPU memory: from then on at most 32" in first
    assert "32 images did not fit into GPU memory: from then on at most 16" in second
    assert retrying.problems() == ()
    gpu.asked.clear()
    retrying.probabilities(images(64))
    retrying.probabilities(images(7))
    assert gpu.asked == [16, 16, 16, 16, 7]


def test_memory_that_gets_less_in_the_middle_is_followed():
    """What was scored before the memory ran out again is not scored twice."""
    gpu = SmallGpu(32)
    retrying = OomRetry(gpu)
    retrying.probabilities(images(64))
    gpu.room = 8
    gpu.asked.clear()
    found = retrying.probabilities(images(40))
    assert found.ravel().tolist() == list(range(40))
    assert gpu.asked == [32, 16, 8, 8, 8, 8, 8]


def test_the_libraries_of_cuda_run_out_in_words_of_their_own():
    """CuBLAS that finds no memory for itself is taken for what it is."""
    error = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`")
    retrying = OomRetry(SmallGpu(4, error))
    assert len(retrying.probabilities(images(8))) == 8


def test_one_image_that_does_not_fit_is_one_line():
    """A batch of one that fails is an error that says what to do."""
    with pytest.raises(ScoreError, match=r"the network and one image do not fit.*nvidia-smi"):
        OomRetry(SmallGpu(0)).probabilities(images(5))


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_main_memory_is_not_tried_again(error):
    """Where main memory runs out, nothing is tried a second time."""
    runtime = SmallGpu(4, error)
    with pytest.raises(type(error)):
        OomRetry(runtime).probabilities(images(8))
    assert runtime.asked == [8]


@pytest.mark.parametrize("late", [False, True], ids=["at submit", "at the results"])
def test_batches_in_flight_learn_from_each_other(late):
    """Two batches that do not fit are told of once, and each keeps its own images."""
    gpu = SmallGpu(16, late=late)
    retrying = OomRetry(gpu)
    both = images(64)
    first, second = retrying.submit(both[:32]), retrying.submit(both[32:])
    assert first().ravel().tolist() == list(range(32))
    assert second().ravel().tolist() == list(range(32, 64))
    (line,) = retrying.problems()
    assert "32 images did not fit into GPU memory: from then on at most 16" in line
    assert gpu.asked == ([32, 32, 16, 16, 16, 16] if late else [32, 16, 16, 16, 16])
