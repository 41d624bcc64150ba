"""The memory of training steps."""

from __future__ import annotations

import resource
from pathlib import Path

import torch

from vocscore.training.allocation import reused_memory


def test_memory_is_reused_inside_and_returned_after() -> None:
    """Inside, 80 MB again need no new pages; after it, the process is as small as before."""

    def pages() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(20_000_000)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    before = resident()
    with reused_memory():
        # of 19,531; a block that is followed by a small one may not fit the next time
        assert min(pages() for _ in range(8)) < 1000
        assert resident() - before > 60_000_000
    assert resident() - before < 20_000_000
