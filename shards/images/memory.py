"""Running out of main memory on one image is that image's verdict, not the end of the run."""

from __future__ import annotations

import re
from contextlib import nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from shards.errors import BadImage, Fault, Reason
from shards.images.budget import image

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

# How Pillow, libjpeg, libtiff, libheif and torch's CPU allocator report it when they do not raise
# MemoryError. GPU memory is excluded: there, a smaller batch is the remedy.
_SIGNS: Final = re.compile(
    r"(can't|cannot) allocate memory|not enough memory|insufficient memory|out of memory"
    r"|memory allocation (failed|failure|error)|failed to allocate|bad_alloc",
    re.IGNORECASE,
)
_OF_A_GPU: Final = re.compile(r"\bcu(da|blas|dnn)", re.IGNORECASE)

# Second attempts run one at a time: if a large image took the memory of its small neighbors, they
# are decoded once it has been given up.
_ALONE: Final = Lock()


def is_exhausted(error: BaseException) -> bool:
    """Whether an exception means that main memory ran out."""
    if isinstance(error, MemoryError):
        return True
    line = str(error)
    return bool(_SIGNS.search(line)) and not _OF_A_GPU.search(line)


def look_for(size: int) -> None:
    """Check that memory is available, after a decoder failed without saying why.

    Args:
        size: bytes.

    Raises:
        MemoryError: it is not.
    """
    np.empty(size, np.uint8)  # untouched: uses address space, but no memory


def spared(work: Callable[[], _T]) -> _T:
    """Read or decode one image; if memory runs out, retry with less running concurrently.

    Args:
        work: handles one image; called a second time if the first ran out of memory.

    Raises:
        BadImage: what `work` raises, or TOO_LARGE: memory ran out twice.
    """
    # The second attempt is not made inside `except`: an exception being handled keeps the objects
    # of the failed attempt in memory.
    for beside in (nullcontext(), _ALONE):
        with beside, image():
            try:
                return work()
            except BadImage:
                raise
            except Exception as error:  # from any library; all but memory errors are raised again
                if not is_exhausted(error):
                    raise
    raise BadImage(Fault(Reason.TOO_LARGE, "not enough memory to decode it"))
