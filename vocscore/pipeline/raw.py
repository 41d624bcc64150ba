"""Raw shards: compares their form with a preprocessing, and reads their images into batches.

The images of a shard lie one after another, apart only by headers and labels, so consecutive rows
are read by one system call, straight into the memory of their batch.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import fields
from typing import TYPE_CHECKING, Final, NamedTuple

from shards.files import open_regular
from shards.raw_images import HEADER_BYTES, RawForm, header
from vocscore.errors import PreprocessError
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from shards.manifest import Manifest
    from shards.sample import ImageRef

_LARGEST_GAP: Final = 1 << 16
"""Bytes between two images that are still read in one call; there are usually 2,600."""


def form_of(preprocess: Preprocess) -> RawForm:
    """Return the form of images that a preprocessing makes, without its normalization."""
    return RawForm(**{one.name: getattr(preprocess, one.name) for one in fields(RawForm)})


def preprocess_of(form: RawForm) -> Preprocess:
    """Return the preprocessing that makes a form, with the usual normalization."""
    return Preprocess(**{one.name: getattr(form, one.name) for one in fields(RawForm)})


def refuse_other_form(form: RawForm, preprocess: Preprocess, where: str) -> None:
    """Raise if raw images are not what a preprocessing would make.

    Args:
        form: of the images.
        preprocess: of the model or the loader.
        where: the shards, for the message.

    Raises:
        PreprocessError: it differs; the line says what to do.
    """
    wanted = form_of(preprocess)
    if form == wanted and preprocess.upright:
        return
    turned = "" if preprocess.upright else ", not turned upright"
    raise PreprocessError(
        f"{where}: raw shards of {form}, but {wanted}{turned} is needed. Use a model of the "
        "shards' form, or pack the original images again, either without `raw=True` or "
        f"with `{_keywords(wanted)}`."
    )


def refuse_other_set(manifest: Manifest | None, preprocess: Preprocess, where: str) -> None:
    """Raise if a folder is a raw set in another form, as `refuse_other_form`."""
    if manifest is not None and manifest.raw is not None:
        refuse_other_form(manifest.raw, preprocess, where)


def refuse_other_refs(refs: Sequence[ImageRef], preprocess: Preprocess) -> None:
    """Raise if any of some images is raw and in another form, as `refuse_other_form`."""
    seen: RawForm | None = None
    for ref in refs[:]:  # a slice waits for no image that is being fetched
        if ref.raw is not None and ref.raw is not seen:
            seen = ref.raw
            refuse_other_form(seen, preprocess, os.path.dirname(ref.file) or ".")  # noqa: PTH120


def _keywords(form: RawForm) -> str:
    """The options of `pack` for a form, as keywords."""
    given = f"raw=True, resize={form.size}"
    if form.fit != "squash":
        given += f", fit={form.fit!r}"
    if form.fit == "crop":
        given += f", crop_fraction={form.crop_fraction:g}"
    elif form.fit == "pad":
        given += f", pad_color={','.join(map(str, form.pad_color))!r}"
    return given if form.interpolation == "bilinear" else f"{given}, interpolation='bicubic'"


class _Run(NamedTuple):
    """Raw images that lie one after another in a file: their positions in the batch, and refs."""

    positions: list[int]
    refs: list[ImageRef]


def read_into(
    pixels: NDArray[np.uint8], refs: Sequence[ImageRef | None], *, max_pixels: int
) -> set[int]:
    """Read raw images into the memory of a batch.

    Args:
        pixels: uint8, shape (N, size, size, 3), C-contiguous.
        refs: N images, or None for positions to leave out.
        max_pixels: as for `image_file.decode`.

    Returns:
        The positions that were read. The others are not raw or cannot be read: decoding them one by
        one finds out why.
    """
    done: set[int] = set()
    size = pixels.shape[1]
    if size * size > max_pixels:
        return done
    for run in _runs(refs):
        done.update(_read_run(run, pixels, header(size)))
    return done


def _runs(refs: Sequence[ImageRef | None]) -> Iterator[_Run]:
    run = _Run([], [])
    for position, ref in enumerate(refs):
        if (
            ref is None
            or ref.raw is None
            or ref.fault is not None
            or ref.data is not None
            or ref.size != ref.raw.bytes
        ):
            continue
        if run.refs and not _follows(run.refs[-1], ref):
            yield run
            run = _Run([], [])
        run.positions.append(position)
        run.refs.append(ref)
    if run.refs:
        yield run


def _follows(one: ImageRef, other: ImageRef) -> bool:
    gap = other.offset - one.offset - one.size
    return one.file == other.file and 0 <= gap <= _LARGEST_GAP


def _read_run(run: _Run, pixels: NDArray[np.uint8], head: bytes) -> Iterator[int]:
    """Read a run by one call; yield the positions that are complete and begin as they should."""
    first = run.refs[0]
    between: list[bytearray] = []  # ends with the header of the image that follows
    parts: list[bytearray | memoryview] = []
    end = first.offset
    for position, ref in zip(run.positions, run.refs, strict=True):
        between.append(bytearray(ref.offset - end + HEADER_BYTES))
        parts += (between[-1], memoryview(pixels[position]).cast("B"))
        end = ref.offset + ref.size
    try:
        descriptor = open_regular(first.file)
        try:
            read = os.preadv(descriptor, parts, first.offset)
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return
    for position, ref, before in zip(run.positions, run.refs, between, strict=True):
        complete = ref.offset + ref.size - first.offset <= read and before.endswith(head)
        if complete and _is_as_packed(ref, head, pixels[position]):
            yield position


def _is_as_packed(ref: ImageRef, head: bytes, pixels: NDArray[np.uint8]) -> bool:
    """Compare header and pixels with the hash of the reference, if it has one."""
    if ref.sha256 is None:
        return True
    found = hashlib.sha256(head)
    found.update(pixels.data)
    return found.hexdigest() == ref.sha256
