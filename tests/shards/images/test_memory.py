"""Memory that one image does not get is that image's verdict."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from encoded import drawn, encoded
from PIL import Image

from shards.errors import BadImage, Fault, Reason
from shards.images import image_file, memory
from shards.packing.prepare import Candidate, Handling, PreparedSample, prepare
from shards.sample import ImageRef, Rejection, Sample

if TYPE_CHECKING:
    from pathlib import Path

EXHAUSTED = [
    MemoryError(),
    MemoryError("Unable to allocate 9.1 TiB for an array"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 600000000 bytes. Error code 12 (Cannot allocate memory)"
    ),
    RuntimeError("not enough memory: you tried to allocate 600000000 bytes."),
    RuntimeError("std::bad_alloc"),
    OSError("out of memory error when reading image file"),
    ValueError("Insufficient memory (case 4)"),
]


@pytest.mark.parametrize("error", EXHAUSTED, ids=str)
def test_every_way_of_saying_it_is_one_verdict(error: Exception) -> None:
    """NumPy, torch, Pillow and libjpeg: too large, after a second attempt."""
    calls = []

    def work() -> None:
        calls.append(1)
        raise error

    with pytest.raises(BadImage) as caught:
        memory.spared(work)
    assert str(caught.value) == "too_large: not enough memory to decode it"
    assert len(calls) == 2


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUBLAS_STATUS_ALLOC_FAILED"),
        ValueError("anything else"),
        KeyError("memory"),
    ],
    ids=str,
)
def test_other_failures_are_raised_at_once(error: Exception) -> None:
    """A GPU's memory is not the image's fault, and a bug is not memory."""
    calls = []

    def work() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        memory.spared(work)
    assert calls == [1]


def test_a_bad_image_is_tried_once() -> None:
    """A verdict is a verdict, whatever its words."""
    calls = []

    def work() -> None:
        calls.append(1)
        raise BadImage(Fault(Reason.CORRUPT, "Out of memory reading of a tag"))

    with pytest.raises(BadImage, match="corrupt"):
        memory.spared(work)
    assert calls == [1]


def test_a_neighbor_gets_another_chance_alone() -> None:
    """What failed because another image had the memory succeeds once that has given it up."""
    alone = []
    lock = threading.Lock()

    def work() -> str:
        if threading.current_thread().name not in failed:
            failed.add(threading.current_thread().name)
            raise MemoryError
        assert lock.acquire(blocking=False)  # nobody else is at a second attempt
        alone.append(threading.current_thread().name)
        lock.release()
        return "pixels"

    failed: set[str] = set()
    results: list[str] = []
    threads = [
        threading.Thread(target=lambda: results.append(memory.spared(work))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["pixels"] * 8
    assert len(alone) == 8


_SMALL_MACHINE = """
import resource, sys
from pathlib import Path
from shards.errors import BadImage
from shards.images import image_file, memory

files = {file.name: file.read_bytes() for file in sorted(Path(sys.argv[1]).iterdir())}
for name, data in files.items():
    if name.startswith("small"):  # what is loaded late is loaded now
        image_file.decode(data, max_pixels=10**8)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (24 << 20), resource.RLIM_INFINITY))
for name, data in files.items():
    try:
        print(name, memory.spared(lambda: image_file.decode(data, max_pixels=10**8)).shape)
    except BadImage as bad:
        print(name, bad.fault.reason)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_real_decoders_on_a_small_machine(tmp_path: Path) -> None:
    """Images of 16 million pixels with 24 MiB left are too large, each by itself; small ones go on.

    libwebp says no more than that it cannot; that it is memory is found out.
    """
    forms = {"gif": {}, "png": {}, "tif": {"compression": "tiff_lzw"}, "webp": {"method": 0}}
    large, small = Image.new("RGB", (4000, 4000)), drawn(40, 30)
    for suffix, options in forms.items():
        form = "TIFF" if suffix == "tif" else suffix.upper()
        (tmp_path / f"large.{suffix}").write_bytes(encoded(large, form, **options))
        (tmp_path / f"small.{suffix}").write_bytes(encoded(small, form, **options))
    jpeg = encoded(small, "JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    huge = jpeg[:at] + (7000).to_bytes(2, "big") * 2 + jpeg[at + 4 :] + bytes(3000)
    (tmp_path / "large.jpeg").write_bytes(huge)
    done = subprocess.run(
        [sys.executable, "-c", _SMALL_MACHINE, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.splitlines() == [
        *(f"large.{name} too_large" for name in ("gif", "jpeg", "png", "tif", "webp")),
        *(f"small.{name} (30, 40, 3)" for name in ("gif", "png", "tif", "webp")),
    ]


def test_packing_leaves_the_image_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pack` rejects what memory does not hold, by its reason, and goes on."""
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(encoded(drawn(), "PNG"))
    check = image_file.check

    def poor(data: bytes, *, max_pixels: int, whole: bool) -> image_file.Header:
        if len(seen) < 2:
            seen.append(1)
            raise MemoryError
        return check(data, max_pixels=max_pixels, whole=whole)

    seen: list[int] = []
    monkeypatch.setattr(image_file, "check", poor)
    handling = Handling(verify=True, max_pixels=10**6, resize=None, quality=90)

    def locate(path: str) -> ImageRef:
        return ImageRef(path, str(tmp_path / path))

    found = [
        prepare(Candidate(Sample(name, ("cat",)), -1), locate=locate, handling=handling)
        for name in ("a.png", "b.png")
    ]
    assert found[0] == Rejection("a.png", Fault(Reason.TOO_LARGE, "not enough memory to decode it"))
    assert isinstance(found[1], PreparedSample)
