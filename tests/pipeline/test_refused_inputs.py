"""What is refused by its size, its format or for want of memory is, by every loader alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import kinds
import pytest
import torch
from workshop import MAX_PIXELS, by_row, make

from shards.images import image_file
from shards.sample import ImageRef
from vocscore.pipeline import host
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from pathlib import Path

LOADERS = ["reference", "host", "dali"]
GOOD = kinds.good()


def _failures(loader: str, refs: list[ImageRef]) -> tuple[dict[str, str], int]:
    """Name -> reason and detail of what failed, and how many images came out."""
    with make(loader, Preprocess(size=32), batch_size=3) as opened:
        batches = list(opened.batches(refs))
    found = {refs[one.row].name: str(one.fault) for batch in batches for one in batch.failures}
    return found, sum(len(batch.rows) for batch in batches)


@pytest.fixture
def refs(tmp_path: Path) -> list[ImageRef]:
    """Ten images under numbers."""
    found = []
    for number in range(10):
        file = tmp_path / f"{number}.jpg"
        file.write_bytes(GOOD["jpeg"] if number % 2 else GOOD["png"])
        found.append(ImageRef(file.name, str(file)))
    return found


@pytest.mark.parametrize("loader", LOADERS)
def test_huge_and_foreign_files(loader: str, refs: list[ImageRef], tmp_path: Path) -> None:
    """A sparse file of a TiB, a stretch of a tar as long, and a TGA are rows; the others go on."""
    with (tmp_path / "m.jpg").open("wb") as file:
        file.write(GOOD["jpeg"])
        file.truncate(1 << 40)
    (tmp_path / "a.tga").write_bytes(b"\0\0\2\0" + bytes(60))
    odd = [
        ImageRef("m.jpg", str(tmp_path / "m.jpg")),
        ImageRef("x.tar/m.jpg", str(tmp_path / "m.jpg"), 512, 1 << 39),
        ImageRef("a.tga", str(tmp_path / "a.tga")),
    ]
    found, good = _failures(loader, [*refs[:4], *odd, *refs[4:]])
    limit = 8 * MAX_PIXELS + (64 << 20)
    assert found == {
        "m.jpg": f"too_large: a file of {1 << 40} bytes; at most {limit} are read (max_pixels)",
        "x.tar/m.jpg": (
            f"too_large: a file of {1 << 39} bytes; at most {limit} are read (max_pixels)"
        ),
        "a.tga": "unsupported: TGA is not decoded. Convert it to JPEG or PNG.",
    }
    assert good == 10


@pytest.mark.parametrize("loader", LOADERS)
def test_memory_for_the_bytes(
    loader: str, refs: list[ImageRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that memory does not hold is a row, and no other row is lost."""
    read = image_file.read_content

    def poor(ref: ImageRef, *, max_pixels: int) -> Any:
        if ref.name == "6.jpg":
            raise MemoryError
        return read(ref, max_pixels=max_pixels)

    monkeypatch.setattr(image_file, "read_content", poor)
    found, good = _failures(loader, refs)
    assert found == {"6.jpg": "too_large: not enough memory to decode it"}
    assert good == 9


@pytest.mark.parametrize("loader", ["host", "dali"])
def test_memory_of_torch(
    loader: str, refs: list[ImageRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch's allocator raises RuntimeError; for one image it is that image's row."""
    resize = host.resize

    def poor(whole: image_file.Decoded, interpolation: str, *, out: torch.Tensor) -> None:
        if whole.pixels.shape[0] == 1:
            torch.empty(1 << 60, dtype=torch.uint8)
        resize(whole, interpolation, out=out)

    flat = refs[4]
    with open(flat.file, "wb") as file:  # noqa: PTH123 - its path is text
        file.write(kinds.encoded(kinds.photo(30, 1), "PNG"))
    monkeypatch.setattr(host, "resize", poor)
    found, good = _failures(loader, refs)
    assert found == {flat.name: "too_large: not enough memory to decode it"}
    assert good == 9


@pytest.mark.parametrize("loader", LOADERS)
def test_memory_that_was_short_for_a_moment(
    loader: str, refs: list[ImageRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images that failed beside a large one come out, with their pixels."""
    with make(loader, Preprocess(size=32)) as opened:
        expected = by_row(opened.batches(refs))
    read, failed = image_file.read_bytes, set()

    def poor(ref: ImageRef, *, max_pixels: int) -> Any:
        if ref.name not in failed:
            failed.add(ref.name)
            raise MemoryError
        return read(ref, max_pixels=max_pixels)

    monkeypatch.setattr(image_file, "read_content", poor)
    with make(loader, Preprocess(size=32)) as opened:
        found = by_row(opened.batches(refs))
    assert found.keys() == expected.keys()
    assert all((found[row] == expected[row]).all() for row in found)
