"""Main memory that one image cannot get is that image's verdict, and not the end of the run."""

from __future__ import annotations

import re
from contextlib import nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from shards.errors import BadImage, Fault, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

# How Pillow, libjpeg, libtiff, libheif and torch's allocator for the CPU say it where they do not
# raise MemoryError. A GPU's memory is another matter: a smaller batch mends that.
_SIGNS: Final = re.compile(
    r"(can't|cannot) allocate memory|not enough memory|insufficient memory|out of memory"
    r"|memory allocation (failed|failure|error)|failed to allocate|bad_alloc",
    re.IGNORECASE,
)
_OF_A_GPU: Final = re.compile(r"\bcu(da|blas|dnn)", re.IGNORECASE)

# A second attempt has no other second attempt beside it: where a large image has taken the memory
# of its small neighbors, they are decoded once it has been given up.
_ALONE: Final = Lock()


def is_exhausted(error: BaseException) -> bool:
    """Whether an exception says that main memory was not enough."""
    if isinstance(error, MemoryError):
        return True
    line = str(error)
    return bool(_SIGNS.search(line)) and not _OF_A_GPU.search(line)


def look_for(size: int) -> None:
    """Prove that some memory is available, where a decoder failed without saying why.

    Args:
        size: bytes.

    Raises:
        MemoryError: it cannot.
    """
    np.empty(size, np.uint8)  # not touched: it costs addresses, and no memory


def spared(work: Callable[[], _T]) -> _T:
    """Read or decode one image; where memory is not enough, once more with less beside it.

    Args:
        work: handles one image; called a second time where the first ran out of memory.

    Raises:
        BadImage: what `work` raises, or TOO_LARGE: memory was not enough twice.
    """
    # The second attempt is not made inside `except`: an exception that is being handled keeps what
    # failed in memory.
    for beside in (nullcontext(), _ALONE):
        with beside:
            try:
                return work()
            except BadImage:
                raise
            except Exception as error:  # of any library; all but one kind is raised again
                if not is_exhausted(error):
                    raise
    raise BadImage(Fault(Reason.TOO_LARGE, "not enough memory to decode it"))
