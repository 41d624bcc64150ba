"""Packing beside its two walls: decoding the same images once, and `tar` of the same files."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import simplejpeg

from bench.commands import vocscore
from bench.outcome import Outcome
from bench.timing import Rate, Timed, interleave
from shards.images import image_file
from shards.reader import load_split
from shards.synthetic.voc import draw_voc
from vocscore.config import PackConfig
from vocscore.machine import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shards.sample import ImageRef

VERIFIED: Final = "vocscore pack"
UNVERIFIED: Final = "vocscore pack --no-verify"
RESIZED: Final = "vocscore pack --resize 256"
TAR: Final = "tar cf"
SYNCED_TAR: Final = "tar cf, then fsync as pack does"
DECODE: Final = "read and decode once"

LEAST_OF_DECODING: Final = 0.85
LEAST_OF_TAR: Final = 0.5

_ANNOTATIONS: Final = 60
"""Drawn ones; they are repeated, each under its own name."""


def compare_packing(images: Sequence[ImageRef], scratch: Path, *, repeats: int) -> Outcome:
    """Images per second of `pack`, of `tar` of the same tree, and of decoding once.

    Decoding has as many threads. Each starts with nothing left to be written to the disk, and the
    files in the system's cache. The
    start of the interpreter is left out.

    Args:
        images: files, all in one folder.
        scratch: a folder to make, on the disk that is written to.
        repeats: counted rounds.

    Raises:
        ValueError: what `pack` and `tar` wrote does not hold the bytes of the images.
    """
    tree = make_tree(images, scratch / "tree")
    out, archive = scratch / "out", scratch / "out.tar"
    prove_equal(tree, images, scratch=scratch)
    packs = {VERIFIED: (), UNVERIFIED: ("--no-verify",), RESIZED: ("--resize", "256")}
    work: dict[str, Callable[[], None]] = {
        name: partial(_pack, tree, out, *options) for name, options in packs.items()
    }
    work[TAR] = partial(_tar, tree, archive)
    work[SYNCED_TAR] = partial(_tar, tree, archive, sync=True)
    work[DECODE] = partial(_decode, images)
    rates = interleave(
        {name: partial(_timed, job, scratch, len(images)) for name, job in work.items()},
        repeats=repeats,
    )
    shutil.rmtree(scratch)
    return Outcome(
        contest="pack",
        title=f"pack: a VOC tree to shards, {usable_cores()} threads",
        rates=rates,
        baseline=TAR,
        walls={VERIFIED: DECODE, UNVERIFIED: SYNCED_TAR},
        facts={"threads": usable_cores(), "annotations": f"{_ANNOTATIONS} drawn, repeated"},
        lines=_verdicts(rates),
    )


def make_tree(images: Sequence[ImageRef], root: Path) -> Path:
    """A VOC tree of these images (hard links), with annotations as VOC's are."""
    drawn = draw_voc(root / "drawn", images=_ANNOTATIONS, lists=False)
    annotations = [file.read_bytes() for file in sorted((drawn / "Annotations").iterdir())]
    shutil.rmtree(drawn)
    for name in ("JPEGImages", "Annotations"):
        (root / name).mkdir()
    for number, ref in enumerate(images):
        file = Path(ref.file)
        (root / "JPEGImages" / file.name).hardlink_to(file)
        xml = annotations[number % len(annotations)]
        (root / "Annotations" / f"{file.stem}.xml").write_bytes(xml)
    return root


def prove_equal(tree: Path, images: Sequence[ImageRef], *, scratch: Path) -> None:
    """Compare what both kinds of packing and tar hold with the files, byte for byte.

    Raises:
        ValueError: one of them holds something else.
    """
    truth = {f"JPEGImages/{Path(ref.file).name}": Path(ref.file) for ref in images}
    for options in ((), ("--no-verify",)):
        _pack(tree, scratch / "out", *options)
        stored = load_split(scratch / "out", "train,val").images
        read = partial(image_file.read_bytes, max_pixels=PackConfig.max_pixels)
        _compare(truth, {ref.name: partial(read, ref) for ref in stored}, "pack")
        _clear(scratch)
    _tar(tree, scratch / "out.tar")
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


def _pack(tree: Path, out: Path, *options: str) -> None:
    """The whole command in this process: annotations, survey, shards, fsync."""
    vocscore("pack", tree, "-o", out, "--quiet", *options)


def _tar(tree: Path, archive: Path, *, sync: bool = False) -> None:
    command = ["tar", "cf", str(archive), "-C", str(tree), "JPEGImages", "Annotations"]
    subprocess.run(command, check=True)  # noqa: S603 - fixed words and own folders
    if sync:
        with archive.open("rb") as file:
            os.fsync(file.fileno())


def _decode(images: Sequence[ImageRef]) -> None:
    """Read and decode every image to RGB: JPEG as leniently as libjpeg-turbo does by itself."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        for _ in pool.map(_decoded, images):
            pass


def _decoded(ref: ImageRef) -> None:
    data = Path(ref.file).read_bytes()
    if data.startswith(b"\xff\xd8"):
        simplejpeg.decode_jpeg(data)
    else:
        image_file.decode(data, max_pixels=PackConfig.max_pixels)


def _timed(work: Callable[[], None], scratch: Path, images: int) -> Timed:
    """One round; what the round before has written is removed or on the disk by then."""
    _clear(scratch)
    os.sync()
    started = time.perf_counter()
    work()
    return Timed(images, time.perf_counter() - started)


def _clear(scratch: Path) -> None:
    shutil.rmtree(scratch / "out", ignore_errors=True)
    (scratch / "out.tar").unlink(missing_ok=True)


def _verdicts(rates: Mapping[str, Rate]) -> tuple[str, ...]:
    goals = (
        (VERIFIED, DECODE, LEAST_OF_DECODING),
        (UNVERIFIED, TAR, LEAST_OF_TAR),
        (UNVERIFIED, SYNCED_TAR, LEAST_OF_TAR),
    )
    return tuple(_verdict(rates, *goal) for goal in goals)


def _verdict(rates: Mapping[str, Rate], name: str, other: str, least: float) -> str:
    share = rates[name].median / rates[other].median
    held = "held" if share >= least else "BROKEN"
    return f"{name}: {share:.2f} of the rate of '{other}' (at least {least}: {held})"
