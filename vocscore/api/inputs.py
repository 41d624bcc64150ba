"""Converts inputs of any accepted kind to image references, one for each result, in order."""

from __future__ import annotations

import io
import os
import posixpath
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from PIL import Image

from shards.errors import BadImage, Fault, Reason
from shards.file_kinds import is_tar
from shards.image_formats import format_of_name
from shards.images.memory import spared
from shards.images.pillow import pixels_of
from shards.remote.places import is_remote
from shards.sample import ImageRef
from vocscore.errors import ScoreError
from vocscore.scoring.inputs.lists import fault_of, is_plain
from vocscore.scoring.inputs.sources import STANDARD_INPUT, read_source
from vocscore.scoring.inputs.tar_units import Tars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from vocscore.scoring.inputs.units import Contents

OneInput: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | NDArray[np.uint8]"
    " | torch.Tensor"
)
Inputs: TypeAlias = "OneInput | Iterable[OneInput]"

ACCEPTED = (
    "Give paths, folders, tars, the bytes of image files, PIL images, uint8 arrays of shape "
    "(H, W), (H, W, 3) or (H, W, 4), or uint8 tensors of shape (3, H, W)"
)
_FILES_A_LOOK = 2048
_ADVICE = (
    (re.compile(r"a tar; a list can only name images\. Name it as SRC"), "not a plain file"),
    (re.compile(r"(\. )?Name it as SRC, or list its files"), ""),
    (re.compile(r" To read a list of paths from a pipe, .*"), ""),
    (re.compile(r" A source is a folder.*"), ""),
    (re.compile(r", not a tar, not a list\."), ", not a tar."),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of the inputs, which gets one result.

    Attributes:
        ref: where its bytes or pixels are.
        path: the path of its result; None if it came from memory.
        starts: whether it is the first of a tar, or the first after one. `vocscore score` starts
            a unit there.
        nbytes: of memory that it uses until it is decoded.
    """

    ref: ImageRef
    path: str | None
    starts: bool = False
    nbytes: int = 0


def is_one(inputs: object) -> bool:
    """Whether this is one input rather than several.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(inputs, (str, os.PathLike, bytes, bytearray, memoryview, Image.Image)):
        return True
    if isinstance(inputs, np.ndarray):
        if inputs.ndim == 0 or (inputs.ndim == 1 and inputs.dtype.kind not in "OUS"):
            raise _refusal_of_array("inputs", inputs)
        return inputs.ndim in (2, 3) and inputs.dtype.kind not in "OUS"
    if isinstance(inputs, torch.Tensor):
        if inputs.ndim < 2 or not _has_pixels(inputs):
            raise _refusal_of_tensor("inputs", inputs)
        return inputs.ndim <= 3
    if isinstance(inputs, io.IOBase) or not isinstance(inputs, Iterable):
        raise _refusal("inputs", inputs)
    return False


def entries(inputs: Any, *, upright: bool, max_pixels: int) -> Iterator[Entry]:
    """Iterate over the inputs; no image file is opened.

    Args:
        inputs: one, or an iterable of some.
        upright: turn PIL images by their EXIF orientation.
        max_pixels: largest width times height of an image that is decoded.

    Raises:
        TypeError: an input is of another kind.
        ScoreError: there is no image in a folder.
    """
    after_tar = False
    for number, item in enumerate([inputs] if is_one(inputs) else inputs):
        tar = False
        for entry in _of_one(item, f"inputs[{number}]", upright=upright, max_pixels=max_pixels):
            yield replace(entry, starts=True) if after_tar else entry
            tar, after_tar = tar or entry.starts, False
        after_tar = after_tar or tar


def _of_one(item: object, name: str, *, upright: bool, max_pixels: int) -> Iterator[Entry]:
    if isinstance(item, (str, os.PathLike)):
        yield from _of_path(str.__str__(os.fsdecode(item)))  # of np.str_: a plain str
    elif isinstance(item, (bytes, bytearray, memoryview)):
        data = bytes(item)
        yield Entry(ImageRef(name, "", data=data), None, nbytes=len(data))
    elif isinstance(item, Image.Image):
        yield _of_pixels(name, partial(pixels_of, item, upright=upright, max_pixels=max_pixels))
    elif isinstance(item, torch.Tensor):
        yield _of_pixels(name, partial(_rgb, _channels_last(item, name), name))
    elif isinstance(item, np.ndarray):
        yield _of_pixels(name, partial(_rgb, item, name))
    else:
        raise _refusal(name, item)


def _of_path(path: str) -> Iterator[Entry]:
    """One image, or those in a folder or a tar.

    A path with an image's suffix is not checked on disk: for a million paths that takes long.
    """
    if is_plain(path) and format_of_name(path) is not None:
        yield Entry(ImageRef(path, path), path)
        return
    if _is_folder(path) or (is_tar(Path(path).name.lstrip(".")) and Path(path).is_file()):
        yield from _of_source(path)
        return
    fault = fault_of(path)
    if fault is not None and is_remote(path):
        detail = "a URL: vocscore.score and vocscore.loader read it; or download it first"
        fault = Fault(Reason.UNSUPPORTED, detail)
    if fault is not None:
        fault = replace(fault, detail=_without_lists(fault.detail))
    yield Entry(ImageRef(path, path, fault=fault), path)


def _without_lists(line: str) -> str:
    """Leave out what a message says of the command line: SRC, and files with lists of paths."""
    for pattern, advice in _ADVICE:
        line = pattern.sub(advice, line)
    return line


def _is_folder(path: str) -> bool:
    try:
        return bool(path) and Path(path).is_dir()
    except (OSError, ValueError):  # an invalid path: its result holds the error
        return False


def _of_source(path: str) -> Iterator[Entry]:
    """Find images as `vocscore score` does."""
    try:
        # A folder here, and not standard input.
        inputs = read_source(Path.cwd() / "-" if Path(path) == STANDARD_INPUT else path)
    except ScoreError as error:
        raise ScoreError(_without_lists(str(error))) from error
    tars = isinstance(inputs, Tars)
    _warn(inputs.problems)
    for unit in inputs.units(_FILES_A_LOOK):
        contents = unit.read()
        _warn(contents.problems)
        for number, ref in enumerate(_refs(contents)):
            shown = ref.name if tars else posixpath.join(path, ref.name)
            yield Entry(ref, shown, starts=tars and number == 0)


def _refs(contents: Contents) -> Iterator[ImageRef]:
    if contents.refusal is None:
        yield from contents.images
        return
    why = Fault(contents.refusal.reason, contents.refusal.detail)
    yield replace(contents.images[0], fault=why)


def _warn(problems: Iterable[str]) -> None:
    for problem in problems:
        warnings.warn(problem, RuntimeWarning, stacklevel=2)


def _of_pixels(name: str, take: Callable[[], NDArray[np.uint8]]) -> Entry:
    """Wrap decoded pixels; they are copied, because the caller may change its own."""
    try:
        pixels = spared(take)
    except BadImage as bad:
        return Entry(ImageRef(name, "", fault=bad.fault), None)
    return Entry(ImageRef(name, "", pixels=pixels), None, nbytes=pixels.nbytes)


def _rgb(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Copy as RGB: gray is repeated, alpha is dropped.

    Raises:
        TypeError: it is not an image.
        BadImage: EMPTY.
    """
    shape = array.shape
    channels = shape[2] if len(shape) == 3 else 1
    if (
        array.dtype != np.uint8
        or len(shape) not in (2, 3)
        or channels not in (1, 3, 4)
        or isinstance(array, np.matrix)
    ):
        raise _refusal_of_array(name, array)
    if 0 in shape:
        raise BadImage(Fault(Reason.EMPTY, "no pixels"))
    if channels == 1:
        return np.repeat(array.reshape(*shape[:2], 1), 3, axis=2)
    return np.array(array[:, :, :3], order="C")


def _channels_last(tensor: torch.Tensor, name: str) -> NDArray[Any]:
    if (
        tensor.ndim != 3
        or tensor.dtype != torch.uint8
        or tensor.shape[0] != 3
        or not _has_pixels(tensor)
    ):
        raise _refusal_of_tensor(name, tensor)
    found: NDArray[Any] = tensor.detach().permute(1, 2, 0).cpu().numpy()
    return found


def _refusal(name: str, item: object) -> TypeError:
    kind = type(item).__name__
    read = "; read it first" if isinstance(item, io.IOBase) else ""
    return TypeError(f"{name}: {kind}{read}. {ACCEPTED}.")


def _has_pixels(tensor: torch.Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_meta


def _refusal_of_array(name: str, array: NDArray[Any]) -> TypeError:
    kind = "a matrix" if isinstance(array, np.matrix) else "an array"
    what = f"{name}: {kind} of {array.dtype} and shape {array.shape}"
    if array.ndim == 1 and array.dtype == np.uint8:
        what += "; pass the bytes of a file with .tobytes()"
    elif isinstance(array, np.matrix):
        what += "; pass it with np.asarray()"
    return TypeError(f"{what}. {ACCEPTED}.")


def _refusal_of_tensor(name: str, tensor: torch.Tensor) -> TypeError:
    kind = "tensor"
    if tensor.is_meta:
        kind = "tensor without data (device 'meta')"
    elif tensor.layout != torch.strided:
        kind = "sparse tensor"
    what = f"{name}: a {kind} of {tensor.dtype} and shape {tuple(tensor.shape)}"
    if tensor.ndim == 1 and tensor.dtype == torch.uint8:
        what += "; pass the bytes of a file with .numpy().tobytes()"
    return TypeError(f"{what}. {ACCEPTED}.")
