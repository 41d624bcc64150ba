"""A row's image is the one that was scored, from any source; names never lead out of it."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from drawn_images import drawn, encoded

from shards.errors import BadImage, Reason
from shards.images.reading import read_bytes
from shards.packing.pack import pack
from shards.sample import AnnotatedSet, Sample
from vocscore.scoring.inputs.sources import read_source
from vocscore.thumbnails.image_source import ImageSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

MANY = 10**8
NAMES = (
    "plain.jpg",
    "sub/deeper/other.png",
    "<script>alert(1)</script>.jpg",
    'quote" comma, and; semicolon.jpg',
    "line\nend.jpg",
    "caf\udce9.jpg",  # a byte that is not UTF-8
    "Ünïcode/日本.jpg",
    "back\\slash.jpg",
    " blanks .jpg",
    "..dots/...jpg",
    "looks-like.tar/inside.jpg",
    "%2e%2e%2fescaped.jpg",
)


@cache
def images(names: tuple[str, ...] = NAMES) -> Mapping[str, bytes]:
    """A different image for each name."""
    return {
        name: encoded(drawn(20 + number, 30), "PNG" if name.endswith("png") else "JPEG")
        for number, name in enumerate(names)
    }


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Files in a folder."""
    for name, data in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return folder


def write_tar(file: Path, files: Mapping[str, bytes]) -> Path:
    """Files in a tar, in the format that other programs write."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return file


def packed(folder: Path, out: Path) -> Path:
    """A packed set of the JPEGs in a folder."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))
    samples = tuple(Sample(name, ("cat",), ()) for name in names)
    arguments: dict[str, Any] = {
        "classes": ("cat",),
        "shard_samples": 3,
        "verify": True,
        "max_bad": 0.0,
        "max_pixels": 1_000_000,
        "resize": None,
        "quality": 95,
        "workers": 1,
        "overwrite": False,
        "settings": {},
    }
    pack(AnnotatedSet(folder, samples), {"train": samples}, out, **arguments)
    return out


def a_folder(at: Path) -> Path:
    return write(at / "photos", images())


def a_tar(at: Path) -> Path:
    return write_tar(at / "photos.tar", images())


def a_folder_of_tars(at: Path) -> Path:
    write_tar(at / "tars" / "a.tar", images())
    write_tar(at / "tars" / "deep" / "er" / "b.tar", images(NAMES[:4]))
    return at / "tars"


def a_packed_set(at: Path) -> Path:
    return packed(write(at / "photos", images()), at / "shards")


def a_packed_set_with_another_tar(at: Path) -> Path:
    shards = a_packed_set(at)
    write_tar(shards / "added.tar", images(NAMES[:3]))
    return shards


def a_shard(at: Path) -> Path:
    return a_packed_set(at) / "train-000001.tar"


def a_list(at: Path) -> Path:
    photos = write(at / "photos", images())
    plain = [name for name in NAMES if "\n" not in name and name.strip() == name]
    lines = [f"photos/{name}" for name in plain[:4]] + [str(photos / name) for name in plain[4:]]
    file = at / "list.txt"
    file.write_bytes(b"\n".join(map(os.fsencode, lines)) + b"\n")
    return file


def an_image(at: Path) -> Path:
    return write(at / "photos", images()) / "plain.jpg"


def a_tar_without_a_suffix(at: Path) -> Path:
    return a_tar(at).rename(at / "photos-archive")


def a_folder_of_packed_sets(at: Path) -> Path:
    photos = write(at / "photos", images())
    for name in ("first", "second"):
        packed(photos, at / "sets" / name)
    return at / "sets"


SOURCES = (
    a_folder,
    a_tar,
    a_folder_of_tars,
    a_packed_set,
    a_packed_set_with_another_tar,
    a_shard,
    a_list,
    an_image,
)


def scored(source: Path) -> dict[str, bytes]:
    """The names and bytes that scoring reads from a source."""
    refs = [ref for unit in read_source(source).units(100) for ref in unit.read().images]
    return {ref.name: read_bytes(ref, max_pixels=MANY) for ref in refs}


@pytest.mark.parametrize("make", [*SOURCES, a_tar_without_a_suffix, a_folder_of_packed_sets])
def test_each_row_has_the_image_that_was_scored(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    """By its name in the predictions, in every kind of source that can be scored."""
    place = make(tmp_path)
    want = scored(place)
    assert len(want) >= (1 if make is an_image else 3)
    source = ImageSource(place)
    assert {name: source.read(name) for name in want} == want


def test_relative_places_stay_where_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source that is named relative to the working folder."""
    a_folder(tmp_path)
    monkeypatch.chdir(tmp_path)
    from pathlib import Path as Place

    assert ImageSource(Place("photos")).read("plain.jpg") == images()["plain.jpg"]


def missing(source: ImageSource, *names: str) -> str:
    """The detail of the fault that an image is not there."""
    with pytest.raises(BadImage) as caught:
        source.read(*names)
    assert caught.value.fault.reason is Reason.VANISHED
    return caught.value.fault.detail


OUTSIDE = (
    "../secret.jpg",
    "../../secret.jpg",
    "sub/../../secret.jpg",
    "sub/deeper/../../../secret.jpg",
    "./../secret.jpg",
    "..\\secret.jpg",
    "sub\\..\\..\\secret.jpg",
    "../se\\cret.jpg",
    "sub/../../se\\cret.jpg",
    "{outside}/se\\cret.jpg",
    "{outside}/secret.jpg",
    "/{outside}/secret.jpg",
    "file://{outside}/secret.jpg",
    "../photos-beside/secret.jpg",
    "photos.tar/../secret.jpg",
    "secret.jpg",
    "~/secret.jpg",
    "secret.jpg\0",
    "../secret.jpg\0plain.jpg",
    "..",
    ".",
    "/",
    "",
    "sub",
    "plain.jpg/more.jpg",
    "\ud800.jpg",
)


@pytest.mark.parametrize("make", [a_folder, a_tar, a_packed_set, a_list, an_image])
def test_names_never_lead_out(make: Callable[[Path], Path], tmp_path: Path) -> None:
    """Parents, absolute paths, zero bytes, folders: such an image is not in the source."""
    inside = tmp_path / "inside"
    place = make(inside)
    secret = dict.fromkeys(("secret.jpg", "se\\cret.jpg"), encoded(drawn(9, 9)))
    for folder in (inside, tmp_path, tmp_path / "inside" / "photos-beside"):
        write(folder, secret)
    source = ImageSource(place)
    for name in OUTSIDE:
        missing(source, name.format(outside=tmp_path))


@pytest.mark.parametrize("make", [a_folder, a_packed_set])
def test_names_that_the_system_refuses_are_faults(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    """A name longer than any file's, and a path longer than any."""
    source = ImageSource(make(tmp_path))
    for name in ("x" * 300 + ".jpg", "sub/" * 3000 + "plain.jpg"):
        missing(source, name)


def test_absolute_names_inside_the_folder_are_found(tmp_path: Path) -> None:
    """Predictions of a list may have absolute paths, and the folder that holds them is named."""
    photos = a_folder(tmp_path)
    source = ImageSource(photos)
    assert source.read(str(photos / "plain.jpg")) == images()["plain.jpg"]
    missing(ImageSource(photos / "sub"), str(photos / "plain.jpg"))


def test_a_list_gives_only_its_own_images(tmp_path: Path) -> None:
    """An image beside the list that it does not name is not in it."""
    photos = a_folder(tmp_path)
    (tmp_path / "list.txt").write_text("photos/plain.jpg\n")
    source = ImageSource(tmp_path / "list.txt")
    assert source.read("photos/plain.jpg") == images()["plain.jpg"]
    missing(source, "photos/sub/deeper/other.png")
    missing(source, str(photos / "plain.jpg"))


def test_other_names_of_the_image_are_tried_in_turn(tmp_path: Path) -> None:
    """The name in the predictions first, then that in the shards; the first that exists counts."""
    source = ImageSource(a_packed_set(tmp_path))
    want = images()
    assert source.read("/elsewhere/plain.jpg", "plain.jpg") == want["plain.jpg"]
    assert source.read("line\nend.jpg", "plain.jpg") == want["line\nend.jpg"]
    assert source.read("", "plain.jpg") == want["plain.jpg"]
    missing(source, "elsewhere.jpg", "")


def test_the_first_of_equal_names_in_a_tar_is_taken(tmp_path: Path) -> None:
    """A tar may hold several images of one name."""
    first, second = encoded(drawn(31, 20)), encoded(drawn(32, 20))
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        for data in (first, second):
            member = tarfile.TarInfo("same.jpg")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    assert ImageSource(tmp_path / "t.tar").read("t.tar/same.jpg") == first


def test_links_in_the_folder_are_followed_as_when_scoring(tmp_path: Path) -> None:
    """A link that the user made to an image elsewhere is an image of the folder."""
    write(tmp_path / "elsewhere", {"real.jpg": encoded(drawn())})
    photos = write(tmp_path / "photos", images(NAMES[:2]))
    (photos / "link.jpg").symlink_to(tmp_path / "elsewhere" / "real.jpg")
    want = scored(photos)
    assert ("link.jpg" in want) is True
    assert ImageSource(photos).read("link.jpg") == want["link.jpg"]


def test_unknown_images_are_a_fault_that_names_the_option() -> None:
    """Without a place, the line says how to name one."""
    assert "name it (images)" in missing(ImageSource(None), "plain.jpg")


@pytest.mark.parametrize("make", SOURCES)
def test_a_source_that_is_gone_is_a_fault(make: Callable[[Path], Path], tmp_path: Path) -> None:
    """Before anything was read from it, and afterwards."""
    place = make(tmp_path)
    name = next(iter(scored(place)))
    before, after = ImageSource(place), ImageSource(place)
    after.read(name)
    shutil.move(tmp_path, tmp_path.with_name("gone"))
    for source in (before, after):
        missing(source, name)


def test_an_image_that_is_gone_is_a_fault(tmp_path: Path) -> None:
    """One file of a folder, and one that a list names; the others are still shown."""
    a_list(tmp_path)
    (tmp_path / "photos" / "plain.jpg").unlink()
    for place, folder in ((tmp_path / "photos", ""), (tmp_path / "list.txt", "photos/")):
        source = ImageSource(place)
        missing(source, f"{folder}plain.jpg")
        other = NAMES[3]
        assert source.read(f"{folder}{other}") == images()[other]


def test_a_tar_cut_short_gives_the_images_before_the_cut(tmp_path: Path) -> None:
    """What scoring could read of it."""
    whole = a_tar(tmp_path)
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole.read_bytes()[:9000])
    want = scored(cut)
    assert 1 <= len(want) < len(NAMES)
    source = ImageSource(cut)
    assert {name: source.read(name) for name in want} == want
    missing(source, f"cut.tar/{NAMES[-1]}")


@pytest.mark.parametrize("content", [b"", b"not a tar", bytes(5000), b"\x1f\x8b\x08" + bytes(600)])
def test_damaged_sources_are_faults(content: bytes, tmp_path: Path) -> None:
    """Tars and lists that cannot be read have no images, and say no more than that."""
    for name in ("t.tar", "t.tar.gz", "list.txt", "photo.jpg"):
        place = tmp_path / name
        place.write_bytes(content)
        missing(ImageSource(place), "t.tar/plain.jpg", "plain.jpg")
    folder = write(tmp_path / "set", {"dataset.json": content, "plain.jpg": encoded(drawn())})
    assert ImageSource(folder).read("plain.jpg") == encoded(drawn())
    missing(ImageSource(folder), "other.jpg")


def test_images_of_too_many_bytes_or_none_are_faults(tmp_path: Path) -> None:
    """As when scoring: an empty file, a folder called like an image, a text, a sparse giant."""
    photos = write(tmp_path / "photos", {"empty.jpg": b"", "real.jpg": encoded(drawn())})
    with (photos / "giant.jpg").open("wb") as file:
        file.truncate(200 << 20)
    os.mkfifo(photos / "pipe.jpg")
    (photos / "folder.jpg").mkdir()
    source = ImageSource(photos, max_pixels=1000)
    reasons = {"empty.jpg": Reason.EMPTY, "giant.jpg": Reason.TOO_LARGE}
    for name, reason in reasons.items():
        with pytest.raises(BadImage) as caught:
            source.read(name)
        assert caught.value.fault.reason is reason
    missing(source, "pipe.jpg")
    missing(source, "folder.jpg")
    assert source.read("real.jpg") == encoded(drawn())
