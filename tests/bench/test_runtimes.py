"""What is sent through a network alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
import torch

from bench.runtimes import enough
from vocscore.scoring.engines.forward import CPU_GROUP

if TYPE_CHECKING:
    from vocscore.runtime import Runtime


@pytest.mark.parametrize("streams", [1, 2, 3, 8])
@pytest.mark.parametrize("images", [1, 64, 160, 640])
def test_every_stream_ends_with_the_same_number_of_batches(streams: int, images: int) -> None:
    """Batches are repeated, in order, to a multiple of those that are worked on at once."""
    runtime = cast("Runtime", SimpleNamespace(in_flight=streams + 1))
    ready = [torch.tensor([number]) for number in range(5)]
    found = [int(batch) for batch in enough(ready, runtime, images=images)]
    assert len(found) % streams == 0
    assert found == [n % 5 for n in range(len(found))]
    assert 0 <= len(found) * CPU_GROUP - images < CPU_GROUP * streams
