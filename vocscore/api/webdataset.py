"""`vocscore.webdataset`: packed shards as a pipeline of the webdataset library."""

from __future__ import annotations

import io
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from shards.errors import BadImage, DamageError
from shards.images import image_file, reading
from shards.manifest import NAME, read_manifest
from shards.members import DESCRIPTION, LABELS, hash_in
from shards.paths import shown
from shards.raw_images import pixels_of
from vocscore.api import loader_arguments as arguments
from vocscore.api.loader_images import split_names
from vocscore.errors import LoaderError
from vocscore.local_folders import local_folder
from vocscore.pipeline.batching import empty_images
from vocscore.pipeline.host import decode_into
from vocscore.pipeline.preprocess import Preprocess
from vocscore.pipeline.raw import refuse_other_form

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from webdataset import FluidWrapper

    from shards.manifest import Manifest
    from shards.raw_images import RawForm

_KINDS = ("pil", "numpy", "torch")


def webdataset(
    shards: str | os.PathLike[str],
    *,
    split: str | Sequence[str] | None = None,
    image: str = "pil",
    size: int | None = None,
    on_error: str = "raise",
    max_pixels: int = 200_000_000,
) -> FluidWrapper:
    """Read packed shards with the webdataset library.

    The result is the library's own pipeline, to be extended with its own stages:
    `.shuffle(1000).batched(16)`. Its samples are dictionaries in the order of the shards:

    - `__key__`: the sample's key, such as 'train-00000012'; `__url__`: the tar
    - `image`: RGB, upright, decoded as strictly as everywhere in vocscore
    - `labels`: int8, shape (C,): 1 present, 0 absent, -1 only difficult
    - `json`: the description: `path`, `labels` and `difficult` (names of classes), `width`,
      `height`, `sha256`

    Each rank and each DataLoader worker takes whole shards.

    Args:
        shards: a complete dataset from `vocscore pack`.
        split: a name, names joined by commas, or a list of names; None: all splits.
        image: 'pil' (`PIL.Image`), 'numpy' (uint8, shape (H, W, 3)) or 'torch' (uint8, shape
            (3, H, W)).
        size: height and width that every image is resized to, pixels, as in `vocscore.loader`;
            None keeps each image's own. Raw shards have one size.
        on_error: for an image that cannot be decoded: 'raise', or 'skip', which leaves the sample
            out with a warning.
        max_pixels: largest width times height of an image; a larger one counts as undecodable.

    Raises:
        PreprocessError: raw shards are of another form.
        LoaderError: no split of that name, or an argument of the wrong type or out of its range;
            while iterating: an image cannot be decoded.
        DamageError: the dataset is incomplete, or a tar is missing.
    """
    given = arguments.read_all(
        split=split, image=image, size=size, on_error=on_error, max_pixels=max_pixels
    )
    if image not in _KINDS:
        raise LoaderError(f"image must be one of {', '.join(_KINDS)}, got {image!r}")
    if on_error not in ("raise", "skip"):
        raise LoaderError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
    try:
        preprocess = None if size is None else Preprocess(size=given["size"])
    except ValueError as error:
        raise LoaderError(str(error)) from error
    folder = local_folder(arguments.read_folder("shards", shards))
    manifest = read_manifest(folder)
    if manifest.raw is not None and preprocess is not None:
        refuse_other_form(manifest.raw, preprocess, str(shards))
    decode = _Decode(
        raw=manifest.raw,
        verified=manifest.verified and manifest.raw is None,  # as in `load_split`
        kind=image,
        preprocess=preprocess,
        skip=on_error == "skip",
        max_pixels=given["max_pixels"],
    )
    tars = [str(tar) for tar in _tars(folder, manifest, given["split"])]
    import webdataset as library  # here: not all users of the API need it
    from webdataset.tariterators import group_by_keys, tar_file_expander

    # The stages of `WebDataset(tars, shardshuffle=False, nodesplitter=split_by_node)`, except for
    # opening the tars: it takes a path for a URL, cuts it at '#' or '?', and leaves the file open.
    return library.FluidWrapper(library.SimpleShardList(tars)).compose(
        library.split_by_node,
        library.split_by_worker,
        _open_tars,
        library.pipelinefilter(tar_file_expander)(),
        library.pipelinefilter(group_by_keys)(),
        library.map(decode),
    )


def _open_tars(sources: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for source in sources:
        with Path(source["url"]).open("rb") as stream:
            yield {**source, "stream": stream}


def _tars(folder: Path, manifest: Manifest, split: str | None) -> Iterator[Path]:
    for name in split_names(folder, manifest, split):
        for shard in manifest.splits[name].shards:
            tar = folder / shard.name
            if not tar.is_file() or tar.stat().st_size != shard.bytes:
                raise DamageError(f"{tar}: differs from {NAME}. Copy the dataset or pack it again.")
            yield tar


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decode:
    """Decodes a sample from a tar; it can be pickled for worker processes.

    Attributes:
        raw: the form of raw images; None: they are files.
        verified: compare each with the hash in its description.
        kind: one of `_KINDS`.
        preprocess: the size to resize to; None keeps each image's own.
        skip: leave out images that cannot be decoded.
        max_pixels: as for `image_file.decode`.
    """

    raw: RawForm | None
    verified: bool
    kind: str
    preprocess: Preprocess | None
    skip: bool
    max_pixels: int

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any] | None:
        """Decode a sample; None, which the library drops, for one to be skipped."""
        about = {name: value for name, value in sample.items() if name.startswith("__")}
        (name,) = sample.keys() - about.keys() - {LABELS, DESCRIPTION}
        described = json.loads(sample[DESCRIPTION])
        try:
            if self.verified and (sha256 := hash_in(described.get("sha256"))):
                reading.refuse_other_bytes(sample[name], sha256)
            decoded = self._as_asked(self._pixels(sample[name]))
        except BadImage as bad:
            line = f"{shown(described['path'])}: {bad}"
            if not self.skip:
                raise LoaderError(f"{line}. Use on_error='skip' to skip such images.") from bad
            warnings.warn(f"{line}; left out", RuntimeWarning, stacklevel=2)
            return None
        labels = np.lib.format.read_array(io.BytesIO(sample[LABELS]), allow_pickle=False)
        return {**about, "image": decoded, "labels": labels, "json": described}

    def _pixels(self, data: bytes) -> NDArray[np.uint8]:
        """Return uint8, shape (H, W, 3)."""
        if self.raw is not None:
            return image_file.decode(pixels_of(data, self.raw), max_pixels=self.max_pixels)
        if self.preprocess is None:
            return image_file.decode(data, max_pixels=self.max_pixels)
        out = empty_images(1, self.preprocess.size)[0]
        decode_into(out, data, preprocess=self.preprocess, max_pixels=self.max_pixels)
        pixels: NDArray[np.uint8] = out.permute(1, 2, 0).numpy()
        return pixels

    def _as_asked(self, pixels: NDArray[np.uint8]) -> Any:
        if self.kind == "pil":
            return Image.fromarray(pixels)
        if self.kind == "torch":
            return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
        return pixels
