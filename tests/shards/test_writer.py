"""One shard, and the images made ready for it."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import tarfile
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from small_sets import CLASSES, build_index, image_bytes

from shards.errors import BadImage, Fault, Reason
from shards.images import image_file
from shards.packing.prepare import Candidate, Handling, PreparedSample, prepare, prepare_all
from shards.packing.writer import ShardWriter, describe, npy_header
from shards.sample import ImageRef, Rejection, Sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HANDLING = Handling(verify=True, max_pixels=100_000, resize=None, quality=95)


def below(root: Path) -> Callable[[str], ImageRef]:
    """Where the image of a path is, for images that are files."""
    return lambda path: ImageRef(path, f"{root}/{path}")


def made_ready(root: Path, path: str, handling: Handling = HANDLING) -> PreparedSample | Rejection:
    """What becomes of one file, labeled as a cat with a difficult person."""
    file = root / path
    size = file.stat().st_size if file.exists() else -1
    candidate = Candidate(Sample(path, ("cat",), ("person",)), size)
    return prepare(candidate, locate=below(root), handling=handling)


def write_shard(root: Path, paths: list[str]) -> Path:
    """A shard of these files, at its final place."""
    (root / "stage").mkdir()
    writer = ShardWriter(root / "stage", "train-000000.tar", classes=CLASSES)
    for serial, path in enumerate(paths):
        ready = made_ready(root, path)
        assert isinstance(ready, PreparedSample)
        writer.add(ready, key=f"train-{serial:08d}")
    shard = writer.seal()
    writer.commit(root)
    tar = root / shard.name
    assert shard.samples == len(paths)
    assert shard.bytes == tar.stat().st_size
    assert shard.sha256 == hashlib.sha256(tar.read_bytes()).hexdigest()
    assert list((root / "stage").iterdir()) == []
    return tar


def test_a_sample_is_image_labels_and_description(tmp_path: Path) -> None:
    """Tarfile finds the original bytes, the labels as NumPy reads them, and the description."""
    data = image_bytes(1)
    (tmp_path / "a.jpg").write_bytes(data)
    with tarfile.open(write_shard(tmp_path, ["a.jpg"])) as tar:
        members = tar.getmembers()
        found = [tar.extractfile(member).read() for member in members]  # type: ignore[union-attr]
    key = "train-00000000"
    assert [m.name for m in members] == [f"{key}.jpg", f"{key}.labels.npy", f"{key}.json"]
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {
        (0, 0, 0, "", "", 0o644)
    }
    assert found[0] == data
    labels = np.load(io.BytesIO(found[1]))
    assert labels.dtype == np.int8
    assert labels.tolist() == [1, 0, -1]
    assert json.loads(found[2]) == {
        "path": "a.jpg",
        "width": 20,
        "height": 16,
        "sha256": hashlib.sha256(data).hexdigest(),
        "labels": ["cat"],
        "difficult": ["person"],
    }
    assert found[2].startswith(b'{"difficult":["person"],"height":16,')


@pytest.mark.parametrize("classes", [1, 20, 1000, 12345])
def test_labels_start_after_128_bytes(classes: int) -> None:
    """The .npy header has 128 bytes however many classes there are: DALI cuts them off."""
    row = np.arange(classes, dtype=np.int8)
    file = io.BytesIO()
    np.save(file, row)
    assert npy_header(classes) + row.tobytes() == file.getvalue()
    assert len(npy_header(classes)) == 128


@pytest.mark.parametrize(
    ("kind", "extension"),
    [
        ("JPEG", "jpg"),
        ("PNG", "png"),
        ("WEBP", "webp"),
        ("BMP", "bmp"),
        ("GIF", "gif"),
        ("TIFF", "tif"),
    ],
)
def test_the_extension_is_that_of_the_bytes(kind: str, extension: str, tmp_path: Path) -> None:
    """An image whose name lies is stored under the extension of what it is."""
    (tmp_path / "a.jpeg").write_bytes(image_bytes(1, kind))
    ready = made_ready(tmp_path, "a.jpeg")
    assert isinstance(ready, PreparedSample)
    assert ready.extension == extension


@pytest.mark.parametrize(
    "name", ["bild-ä.jpg", "a b;c,d.jpg", "=1+1.jpg", 'q"\\\n.jpg', os.fsdecode(b"n\xff\xfe.jpg")]
)
def test_odd_names_come_back(name: str, tmp_path: Path) -> None:
    """Blanks, quotes, line ends and bytes that are not UTF-8 survive the ASCII description."""
    (tmp_path / name).write_bytes(image_bytes(1))
    with tarfile.open(write_shard(tmp_path, [name])) as tar:
        text = tar.extractfile("train-00000000.json").read()  # type: ignore[union-attr]
    assert text.isascii()
    value = json.loads(text)
    assert os.fsencode(value["path"]) == os.fsencode(name)
    assert text == json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def ready_of(data: bytes, name: str = "a.jpg") -> PreparedSample:
    """An image as threads hand it on; its bytes need not be one."""
    sha256 = hashlib.sha256(data).hexdigest()
    return PreparedSample(
        Sample(name, ("cat", 'd\u00f6g"'), ()), data, "jpg", 20, 16, sha256, (40, 30)
    )


def test_the_description_is_plain_json() -> None:
    """Quotes, letters beyond ASCII and the size before resizing stand as `json` has them."""
    value = {
        "path": "a.jpg",
        "width": 20,
        "height": 16,
        "sha256": hashlib.sha256(b"x").hexdigest(),
        "labels": ["cat", 'd\u00f6g"'],
        "difficult": [],
        "original": {"width": 40, "height": 30},
    }
    expected = json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")
    assert describe(ready_of(b"x")) == expected


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "short writes"])
@pytest.mark.parametrize("sizes", [[1] * 900, [3_000_000, 1, 700_000, 700_000, 5]])
def test_stretches_join_to_one_tar(
    sizes: list[int], whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However a shard is cut to be written, and however little the system takes at a time."""
    real, parts = os.writev, []

    def writev(descriptor: int, buffers: list[bytes]) -> int:
        parts.append(len(buffers))
        return real(descriptor, buffers if whole else [buffers[0][:100]])

    monkeypatch.setattr(os, "writev", writev)
    images = [bytes([i % 251]) * size for i, size in enumerate(sizes)]
    writer = ShardWriter(tmp_path, "train-000000.tar", classes=("cat", 'd\u00f6g"'))
    for serial, data in enumerate(images):
        writer.add(ready_of(data), key=f"train-{serial:08d}")
    shard = writer.seal()
    (tmp_path / "out").mkdir()
    writer.commit(tmp_path / "out")
    tar = tmp_path / "out" / shard.name
    assert len(parts) > 1
    assert max(parts) <= 1024  # IOV_MAX of Linux
    assert (shard.bytes, shard.sha256) == (
        tar.stat().st_size,
        hashlib.sha256(tar.read_bytes()).hexdigest(),
    )
    assert tar.with_suffix(".idx").read_bytes() == build_index(tar)
    with tarfile.open(tar) as opened:
        stored = [opened.extractfile(m).read() for m in opened if m.name.endswith("jpg")]  # type: ignore[union-attr]
    assert stored == images


def test_writing_does_not_run_ahead_of_hashing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow hashing is, one stretch waits for it while the next is gathered, not more."""
    real_hash, real_write = ShardWriter._hash, os.writev
    hashed: list[int] = []
    waiting: list[int] = []

    def slow(self: ShardWriter, parts: list[bytes]) -> None:
        time.sleep(0.02)
        real_hash(self, parts)
        hashed.append(len(parts))

    def writev(descriptor: int, buffers: list[bytes]) -> int:
        waiting.append(len(waiting) + 1 - len(hashed))
        return real_write(descriptor, buffers)

    monkeypatch.setattr(ShardWriter, "_hash", slow)
    monkeypatch.setattr(os, "writev", writev)
    writer = ShardWriter(tmp_path, "train-000000.tar", classes=("cat", 'd\u00f6g"'))
    for serial in range(12):
        writer.add(ready_of(bytes(1 << 20)), key=f"train-{serial:08d}")
    writer.seal()
    assert len(waiting) == 13
    assert max(waiting) <= 1
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_the_disk_is_sent_what_there_is_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync every few stretches; one that fails is not forgotten by the time of the commit."""
    real, failing, calls = os.fsync, [False], []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if failing[0]:
            failing[0] = False  # the system tells an error once
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr("shards.packing.writer._SYNC_BYTES", 2 << 20)
    (tmp_path / "out").mkdir()
    for number, fails in enumerate([False, True]):
        failing[0] = fails
        writer = ShardWriter(tmp_path, f"train-{number:06d}.tar", classes=("cat", 'd\u00f6g"'))

        def fill(writer: ShardWriter = writer) -> None:
            for serial in range(7):
                writer.add(ready_of(bytes(1 << 20)), key=f"train-{serial:08d}")
            writer.seal()
            writer.commit(tmp_path / "out")

        if fails:
            with pytest.raises(OSError, match="Input/output error") as caught:
                fill()
            assert caught.value.filename == str(tmp_path / "train-000001.tar")
            writer.discard()
        else:
            fill()
            assert len(calls) > 3  # tar, index and folder, and those before
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels, by its header."""
    data = bytearray(image_bytes(1, "PNG"))
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", Reason.EMPTY), (b"<html>", Reason.UNSUPPORTED), (bomb(), Reason.TOO_LARGE)],
)
def test_what_no_header_saves_is_rejected(
    data: bytes, reason: Reason, verify: bool, tmp_path: Path
) -> None:
    """Empty files, other kinds and bombs are rejected, with and without verification."""
    (tmp_path / "a.jpg").write_bytes(data)
    handling = Handling(verify=verify, max_pixels=100_000, resize=None, quality=95)
    rejection = made_ready(tmp_path, "a.jpg", handling)
    assert isinstance(rejection, Rejection)
    assert (rejection.path, rejection.fault.reason) == ("a.jpg", reason)


def test_only_verification_finds_an_image_cut_short(tmp_path: Path) -> None:
    """Half a JPEG is truncated when it is decoded; its header alone is in order."""
    (tmp_path / "a.jpg").write_bytes(image_bytes(1)[:-200])
    rejection = made_ready(tmp_path, "a.jpg")
    assert isinstance(rejection, Rejection)
    assert rejection.fault.reason is Reason.TRUNCATED
    unverified = Handling(verify=False, max_pixels=100_000, resize=None, quality=95)
    assert isinstance(made_ready(tmp_path, "a.jpg", unverified), PreparedSample)


def test_the_cheap_check_agrees_with_decoding(odd: Path) -> None:
    """For unusual files of every kind, checking gives the verdict that decoding gives."""

    def verdict(attempt: Callable[[], object]) -> str:
        try:
            attempt()
        except BadImage as bad:
            return str(bad)
        return "whole"

    verdicts = []
    for file in sorted(path for path in odd.rglob("*") if path.is_file()):
        data = file.read_bytes()
        checked = verdict(lambda: image_file.check(data, max_pixels=10**8, whole=True))  # noqa: B023 - now
        decoded = verdict(lambda: image_file.decode(data, max_pixels=10**8))  # noqa: B023 - now
        assert (file.name, checked) == (file.name, decoded)
        verdicts.append(checked)
    assert len(verdicts) > 20
    assert "whole" in verdicts


def test_what_is_no_file_is_rejected(tmp_path: Path) -> None:
    """A missing file, a folder and a pipe are rejections; the pipe is not waited for."""
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    names = ["gone.jpg", "folder.jpg", "pipe.jpg", "nul\0.jpg"]
    candidates = [Candidate(Sample(name, ()), -1) for name in names]
    locate = below(tmp_path)
    found = [prepare(candidate, locate=locate, handling=HANDLING) for candidate in candidates]
    reasons = [rejection.fault.reason for rejection in found if isinstance(rejection, Rejection)]
    assert reasons == [Reason.VANISHED, *[Reason.UNREADABLE] * 3]


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """A file of 40 GB that calls itself an image is rejected by its size alone."""
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(40_000_000_000)
    rejection = made_ready(tmp_path, "a.jpg")
    assert isinstance(rejection, Rejection)
    assert rejection.fault.reason is Reason.TOO_LARGE


def test_resizing_stores_a_jpeg_of_that_size(tmp_path: Path) -> None:
    """With `resize`, a PNG becomes a square JPEG; hash and size are those of what is stored."""
    (tmp_path / "a.png").write_bytes(image_bytes(1, "PNG"))
    ready = made_ready(
        tmp_path, "a.png", Handling(verify=True, max_pixels=999, resize=8, quality=90)
    )
    assert isinstance(ready, PreparedSample)
    with Image.open(io.BytesIO(ready.data)) as stored:
        assert (stored.format, stored.size) == ("JPEG", (8, 8))
    assert (ready.extension, ready.width, ready.height) == ("jpg", 8, 8)
    assert ready.original == (20, 16)
    assert ready.sha256 == hashlib.sha256(ready.data).hexdigest()


def test_resizing_rejects_what_decoding_rejects(tmp_path: Path) -> None:
    """With `resize` and without verification, an image cut short is still rejected."""
    (tmp_path / "a.jpg").write_bytes(image_bytes(1)[:-200])
    handling = Handling(verify=False, max_pixels=999, resize=8, quality=90)
    assert isinstance(made_ready(tmp_path, "a.jpg", handling), Rejection)


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_order_and_few_are_held(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads or not, results come in the order asked for, and the reading does not run ahead."""
    import shards.packing.prepare as module

    begun: list[int] = []

    def fake(candidate: Candidate, **_: Any) -> Rejection:
        begun.append(candidate.size)
        return Rejection(candidate.sample.path, Fault(Reason.EMPTY, ""))

    monkeypatch.setattr(module, "prepare", fake)
    candidates = [Candidate(Sample(f"{i:04d}", ()), 1 << 20) for i in range(400)]
    found: list[str] = []
    chunks = prepare_all(candidates, locate=below(tmp_path), handling=HANDLING, workers=workers)
    for chunk in chunks:
        found += [outcome.path for outcome in chunk if isinstance(outcome, Rejection)]
        ahead = sum(begun) - (len(found) << 20)
        assert ahead <= (workers * 3 + 1) * (4 << 20)
    assert found == [candidate.sample.path for candidate in candidates]
