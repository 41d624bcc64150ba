"""Packing, beside `tar` of the same files and decoding the same images once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import simplejpeg

from bench import product
from bench.outcome import Outcome, held
from bench.timing import Timed, interleave
from shards.images import image_file
from shards.reader import load_split
from shards.synthetic.voc import draw_voc
from vocscore.config.compute import MAX_PIXELS
from vocscore.machine import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bench.contests import Options
    from shards.sample import ImageRef

VERIFIED, UNVERIFIED = "vocscore pack", "vocscore pack --no-verify"
RESIZED = "vocscore pack --resize 256"
PROCESSES = f"vocscore pack --processes {usable_cores()}"
TAR, SYNCED_TAR = "tar cf", "tar cf, then fsync as pack does"
DECODE = "read and decode once"
GOALS = ((VERIFIED, DECODE, 0.85), (UNVERIFIED, TAR, 0.5), (UNVERIFIED, SYNCED_TAR, 0.5))
"""A contestant must reach this share of another's rate."""
_ANNOTATIONS = 60
"""Drawn annotations, repeated under the names of the images."""


def run(options: Options) -> Iterator[Outcome]:
    """Images per second of packing, of `tar` of the same tree, and of decoding once.

    Each starts with no dirty pages, and with the files in the page cache.
    """
    # enough that start and end do not matter; three copies must fit on the disk
    images = options.image_set({"large": 40, "png": 400}.get(options.kind, 2000))
    refs, scratch = images.refs, options.scratch / "pack"
    tree = make_tree(refs, scratch / "tree")
    prove_equal(tree, refs, scratch=scratch)
    work: dict[str, Callable[[], None]] = {
        VERIFIED: partial(_pack, tree, scratch),
        UNVERIFIED: partial(_pack, tree, scratch, verify=False),
        RESIZED: partial(_pack, tree, scratch, resize=256),
        PROCESSES: partial(_pack, tree, scratch, processes=usable_cores()),
        TAR: partial(_tar, tree, scratch),
        SYNCED_TAR: partial(_tar, tree, scratch, sync=True),
        DECODE: partial(_decode, refs),
    }
    rates = interleave(
        {name: partial(_timed, job, scratch, len(refs)) for name, job in work.items()},
        repeats=options.repeats,
    )
    shutil.rmtree(scratch)
    shares = [(*goal, rates[goal[0]].median / rates[goal[1]].median) for goal in GOALS]
    yield Outcome(
        contest="pack",
        title=f"pack: a VOC tree to shards, {usable_cores()} threads",
        rates=rates,
        peers=(TAR,),
        ceilings={VERIFIED: DECODE, UNVERIFIED: SYNCED_TAR},
        key=images.key,
        facts={
            **images.facts,
            "threads": usable_cores(),
            "annotations": f"{_ANNOTATIONS} drawn, repeated",
        },
        lines=tuple(
            f"{name}: {share:.2f} of the rate of '{other}' (at least {least}: "
            f"{held(share >= least)})"
            for name, other, least, share in shares
        ),
    )


def make_tree(refs: Sequence[ImageRef], root: Path) -> Path:
    """Make a VOC tree of these images (hard links), with annotations like VOC's."""
    drawn = draw_voc(root / "drawn", images=_ANNOTATIONS, lists=False)
    annotations = [file.read_bytes() for file in sorted((drawn / "Annotations").iterdir())]
    shutil.rmtree(drawn)
    for name in ("JPEGImages", "Annotations"):
        (root / name).mkdir()
    for number, file in enumerate(Path(ref.file) for ref in refs):
        (root / "JPEGImages" / file.name).hardlink_to(file)
        xml = annotations[number % len(annotations)]
        (root / "Annotations" / f"{file.stem}.xml").write_bytes(xml)
    return root


def prove_equal(tree: Path, refs: Sequence[ImageRef], *, scratch: Path) -> None:
    """Compare what shards and the tar hold with the files, by SHA-256."""
    truth = {
        f"JPEGImages/{Path(ref.file).name}": _hashed(Path(ref.file).read_bytes()) for ref in refs
    }
    for changes in ({}, {"verify": False}, {"processes": usable_cores()}):
        _pack(tree, scratch, **changes)
        stored = load_split(scratch / "out", "train,val").images
        read = partial(image_file.read_bytes, max_pixels=MAX_PIXELS)
        _compare(truth, {ref.name: _hashed(read(ref)) for ref in stored}, "pack")
        _clear(scratch)
    _tar(tree, scratch)
    with tarfile.open(scratch / "out.tar") as tar:
        inside = [member for member in tar if member.name.startswith("JPEGImages/")]
        files = {member.name: tar.extractfile(member) for member in inside}
        _compare(truth, {name: _hashed(file.read()) for name, file in files.items() if file}, "tar")
    _clear(scratch)


def _hashed(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _compare(truth: Mapping[str, bytes], stored: Mapping[str, bytes], what: str) -> None:
    if truth.keys() != stored.keys():
        raise ValueError(f"{what} holds {len(stored)} images, not the {len(truth)} of the tree")
    for name, hashed in truth.items():
        if stored[name] != hashed:
            raise ValueError(f"{what} holds other bytes of {name}")


def _pack(tree: Path, scratch: Path, **options: Any) -> None:
    product.pack(tree, scratch / "out", **options)


def _tar(tree: Path, scratch: Path, *, sync: bool = False) -> None:
    archive = scratch / "out.tar"
    command = ["tar", "cf", str(archive), "-C", str(tree), "JPEGImages", "Annotations"]
    subprocess.run(command, check=True)  # noqa: S603 - fixed words and own folders
    if sync:
        with archive.open("rb") as file:
            os.fsync(file.fileno())


def _decode(refs: Sequence[ImageRef]) -> None:
    """Read and decode every image to RGB, JPEG as libjpeg-turbo does by default: not strictly."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(_decoded, refs))


def _decoded(ref: ImageRef) -> None:
    data = Path(ref.file).read_bytes()
    if data.startswith(b"\xff\xd8"):
        simplejpeg.decode_jpeg(data)
    else:
        image_file.decode(data, max_pixels=MAX_PIXELS)


def _timed(work: Callable[[], None], scratch: Path, images: int) -> Timed:
    """One round, after the previous round's output is removed or on disk."""
    _clear(scratch)
    os.sync()
    started = time.perf_counter()
    work()
    return Timed(images, time.perf_counter() - started)


def _clear(scratch: Path) -> None:
    shutil.rmtree(scratch / "out", ignore_errors=True)
    (scratch / "out.tar").unlink(missing_ok=True)
