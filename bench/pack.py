"""Packing, beside `tar` of the same files and decoding the same images once."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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
    from bench.timing import Rate
    from shards.sample import ImageRef

VERIFIED: Final = "vocscore pack"
UNVERIFIED: Final = "vocscore pack --no-verify"
RESIZED: Final = "vocscore pack --resize 256"
PROCESSES: Final = f"vocscore pack --processes {usable_cores()}"
TAR: Final = "tar cf"
SYNCED_TAR: Final = "tar cf, then fsync as pack does"
DECODE: Final = "read and decode once"
GOALS: Final = ((VERIFIED, DECODE, 0.85), (UNVERIFIED, TAR, 0.5), (UNVERIFIED, SYNCED_TAR, 0.5))
"""A contestant must reach this share of another's rate."""
_ANNOTATIONS: Final = 60
"""Drawn annotations, repeated under the names of the images."""
_ANNOTATED: Final = f"{_ANNOTATIONS} drawn, repeated"


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
    yield Outcome(
        contest="pack",
        title=f"pack: a VOC tree to shards, {usable_cores()} threads",
        rates=rates,
        peers=(TAR,),
        ceilings={VERIFIED: DECODE, UNVERIFIED: SYNCED_TAR},
        key=images.key,
        facts={**images.facts, "threads": usable_cores(), "annotations": _ANNOTATED},
        lines=tuple(_verdict(rates, *goal) for goal in GOALS),
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
    """Compare the content of both kinds of shards and of the tar with the files, byte for byte."""
    truth = {f"JPEGImages/{Path(ref.file).name}": Path(ref.file) for ref in refs}
    read = partial(image_file.read_bytes, max_pixels=MAX_PIXELS)
    for changes in ({}, {"verify": False}, {"processes": usable_cores()}):
        _pack(tree, scratch, **changes)
        stored = load_split(scratch / "out", "train,val").images
        _compare(truth, {ref.name: partial(read, ref) for ref in stored}, "pack")
        _clear(scratch)
    _tar(tree, scratch)
    with tarfile.open(scratch / "out.tar") as tar:
        members = {
            m.name: partial(_member, tar, m) for m in tar if m.name.startswith("JPEGImages/")
        }
        _compare(truth, members, "tar")
    _clear(scratch)


def _member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""


def _compare(
    truth: Mapping[str, Path], stored: Mapping[str, Callable[[], bytes]], what: str
) -> None:
    if truth.keys() != stored.keys():
        raise ValueError(f"{what} holds {len(stored)} images, not the {len(truth)} of the tree")
    for name, file in truth.items():
        if stored[name]() != file.read_bytes():
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


def _verdict(rates: Mapping[str, Rate], name: str, other: str, least: float) -> str:
    share = rates[name].median / rates[other].median
    return (
        f"{name}: {share:.2f} of the rate of '{other}' (at least {least}: {held(share >= least)})"
    )
