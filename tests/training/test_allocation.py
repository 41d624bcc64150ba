"""The memory of training steps."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# In a process of its own: a large one may have 80 MB free already.
WORK = """
import resource
from pathlib import Path

import torch

from vocscore.training.allocation import reused_memory


def pages() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(20_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


pages()
before = resident()
with reused_memory():
    # of 19,531; a block that is followed by a small one may not fit the next time
    fewest = min(pages() for _ in range(8))
    inside = resident() - before
after = resident() - before
assert fewest < 1000, fewest
assert inside > 60_000_000, inside
assert after < 20_000_000, after
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of pages")
def test_memory_is_reused_inside_and_returned_after() -> None:
    """Inside, 80 MB again need no new pages; after it, the process is as small as before.

    The layout of the heap is random, and a small block may lie in the way: one of three processes
    has to show it. Without `reused_memory`, none does.
    """
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    words = [sys.executable, "-c", WORK]
    for _ in range(3):
        done = subprocess.run(words, check=False, capture_output=True, text=True, env=kept)
        if done.returncode == 0:
            return
    pytest.fail(done.stderr)
