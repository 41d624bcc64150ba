"""Prepares images for packing: reads, checks and describes them in threads, in order."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from shards import raw_images
from shards.errors import BadImage
from shards.images import image_file
from shards.images.budget import FILES
from shards.images.memory import spared
from shards.sample import Rejection, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from shards.raw_images import RawMaker
    from shards.sample import ImageRef

_Chunk = TypeVar("_Chunk")
_Result = TypeVar("_Result")

_CHUNK_IMAGES: Final = 16
_CHUNK_BYTES: Final = 4 << 20
_CHUNKS_A_WORKER: Final = 3
"""Prefetched chunks: limits memory to about 12 MiB per thread; `in_threads` bounds larger files."""

_EXTENSIONS: Final = {"JPEG": "jpg", "TIFF": "tif"}


class Candidate(NamedTuple):
    """A sample that may become part of a set.

    Attributes:
        sample: its name and labels.
        size: size of the file when listed, bytes; -1 if it could not be accessed.
    """

    sample: Sample
    size: int


@dataclass(frozen=True, slots=True)
class Handling:
    """How each image is processed.

    Attributes:
        verify: decode it, strictly.
        max_pixels: largest accepted width times height, a limit against decompression bombs.
        resize: side of the re-encoded square image, pixels; None keeps the bytes.
        quality: JPEG quality of the re-encoding.
        raw: makes the raw images to store instead; None: files are stored.
    """

    verify: bool
    max_pixels: int
    resize: int | None
    quality: int
    raw: RawMaker | None = None

    def held(self, candidates: Sequence[Candidate]) -> int:
        """Return the bytes that files, or the raw images made of them, hold until written."""
        made = 0 if self.raw is None else self.raw.form.bytes
        return sum(max(made, candidate.size) for candidate in candidates)


class PreparedSample(NamedTuple):
    """An image ready to be stored.

    Attributes:
        sample: its name and labels.
        data: the bytes to store.
        extension: by its actual format, regardless of its name.
        width: pixels, as stored.
        height: pixels, as stored.
        sha256: hash of `data`, hexadecimal.
        original: width and height in the source file, pixels, before the EXIF orientation is
            applied, if the image was resized; None if the bytes are kept.
    """

    sample: Sample
    data: bytes
    extension: str
    width: int
    height: int
    sha256: str
    original: tuple[int, int] | None


def prepare_all(
    candidates: Sequence[Candidate],
    *,
    locate: Callable[[str], ImageRef],
    handling: Handling,
    workers: int,
) -> Generator[list[PreparedSample | Rejection]]:
    """Prepare images in several threads.

    Args:
        candidates: the images, in the order of the results.
        locate: the location of an image by its path; called in the threads.
        handling: how to process each.
        workers: number of threads; does not affect the results.

    Yields:
        Lists of consecutive results, in order. Only a few lists are in memory at a time.
    """
    work = partial(_prepare_chunk, locate=locate, handling=handling)
    chunks = chunked(candidates, handling)
    return in_threads(work, chunks, workers=workers, size=handling.held)


def in_threads(
    work: Callable[[_Chunk], _Result],
    chunks: Iterable[_Chunk],
    *,
    workers: int,
    size: Callable[[_Chunk], int],
) -> Generator[_Result]:
    """Work on chunks in several threads; the results come in order, a few ahead of the reader.

    Args:
        work: called with each chunk, in any thread.
        chunks: taken one by one.
        workers: number of threads.
        size: bytes that a chunk or its result holds; those in progress, or read and not yielded
            yet, have at most the memory for files (`budget`), or are one chunk.
    """
    window: deque[tuple[Future[_Result], int]] = deque()
    held = 0
    pool = ThreadPoolExecutor(workers, thread_name_prefix="prepare")
    try:
        for chunk in chunks:
            more = size(chunk)
            while window and (
                len(window) > workers * _CHUNKS_A_WORKER or held + more > FILES.limit
            ):
                held -= window[0][1]
                yield window.popleft()[0].result()
            window.append((pool.submit(work, chunk), more))
            held += more
        while window:
            yield window.popleft()[0].result()
    finally:
        pool.shutdown(cancel_futures=True)


def chunked(candidates: Sequence[Candidate], handling: Handling) -> Iterator[Sequence[Candidate]]:
    """Divide into chunks that are large enough for a thread and bounded in memory."""
    start = taken = 0
    for at in range(len(candidates)):
        size = handling.held(candidates[at : at + 1])
        full = taken + size > _CHUNK_BYTES or at - start == _CHUNK_IMAGES
        if full and at > start:
            yield candidates[start:at]
            start, taken = at, 0
        taken += size
    if start < len(candidates):
        yield candidates[start:]


def _prepare_chunk(
    candidates: Sequence[Candidate], *, locate: Callable[[str], ImageRef], handling: Handling
) -> list[PreparedSample | Rejection]:
    return [prepare(candidate, locate=locate, handling=handling) for candidate in candidates]


def prepare(
    candidate: Candidate, *, locate: Callable[[str], ImageRef], handling: Handling
) -> PreparedSample | Rejection:
    """Read one image, check it, and describe what to store.

    Args:
        candidate: the image.
        locate: its location, by its path.
        handling: how to process it.

    Returns:
        The image, or the reason why it is left out.
    """
    sample = candidate.sample
    try:
        return spared(lambda: _ready(sample, locate(sample.path), handling))
    except BadImage as bad:
        return Rejection(sample.path, bad.fault)


def _ready(sample: Sample, ref: ImageRef, handling: Handling) -> PreparedSample:
    data = image_file.read_bytes(ref, max_pixels=handling.max_pixels)
    original = None
    if handling.raw is not None:
        head = image_file.probe(data)
        original = head.width, head.height
        data = raw_images.encode(handling.raw(data))
        size = handling.raw.form.size
        head = image_file.Header(raw_images.EXTENSION, size, size)
    elif handling.resize is not None:  # as strict as decoding, since it decodes
        size, quality = handling.resize, handling.quality
        head = image_file.probe(data)
        original = head.width, head.height
        data = image_file.resize_jpeg(
            data, size=size, quality=quality, max_pixels=handling.max_pixels
        )
        head = image_file.probe(data)
    else:
        head = image_file.check(data, max_pixels=handling.max_pixels, whole=handling.verify)
    return PreparedSample(
        sample=sample,
        data=data,
        extension=_EXTENSIONS.get(head.format, head.format.lower()),
        width=head.width,
        height=head.height,
        sha256=hashlib.sha256(data).hexdigest(),
        original=original,
    )
