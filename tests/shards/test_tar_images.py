"""Which members of a tar are images, held against tarfile and GNU tar."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from small_sets import image_bytes, pack_small, small_set
from test_tar_walk import make_tar

from shards.errors import BadImage, DamageError
from shards.images.image_file import read_bytes
from shards.reader import load_split
from shards.tar.images import list_tar
from shards.tar.walk import CompressedTarError, members

if TYPE_CHECKING:
    from pathlib import Path


def packed(tmp_path: Path) -> Path:
    """A set of 9 images in 'train' and 5 in 'val', in shards of 3."""
    pack_small(small_set(tmp_path / "in"), tmp_path / "out")
    return tmp_path / "out"


def tar_of(file: Path, parts: dict[str, bytes], *, kind: int = tarfile.PAX_FORMAT) -> Path:
    """A foreign tar with these members."""
    with tarfile.open(file, "w", format=kind) as tar:
        for name, data in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file


def test_a_packed_tar_lists_original_paths(tmp_path: Path) -> None:
    """With dataset.json beside it, a tar's images have their original paths as names."""
    out = packed(tmp_path)
    listing = list_tar(out / "val-000000.tar")
    assert listing.damage is None
    assert listing.images == load_split(out, "val").images[:3]


def test_a_tar_that_the_manifest_does_not_name_is_foreign(tmp_path: Path) -> None:
    """Without our manifest beside it, or not named in it, a tar's images are TAR/MEMBER."""
    out = packed(tmp_path)
    (out / "other.tar").write_bytes((out / "val-000000.tar").read_bytes())
    assert list_tar(out / "other.tar").images[0].name == "other.tar/val-00000000.jpg"
    (out / "dataset.json").write_text('{"name": "a data set of someone else"}')
    os.utime(out / "dataset.json", ns=(1, 1))
    first = list_tar(out / "val-000000.tar").images[0]
    assert first.name == "val-000000.tar/val-00000000.jpg"
    (out / "dataset.json").unlink()
    assert list_tar(out / "val-000000.tar").images[0] == first


def test_a_damaged_manifest_is_not_taken_for_none(tmp_path: Path) -> None:
    """Where dataset.json is ours and damaged, names are not silently other ones."""
    out = packed(tmp_path)
    text = (out / "dataset.json").read_text()
    for spoilt in (text[:-9], text.replace('"version": 1', '"version": 2')):
        (out / "dataset.json").write_text(spoilt)
        with pytest.raises(DamageError, match=r"dataset\.json"):
            list_tar(out / "val-000000.tar")


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_image_of_a_foreign_tar_is_found(kind: int, tmp_path: Path) -> None:
    """Any suffix in any case, several a sample, long names, images that only their bytes tell."""
    long = "a/" * 40 + "long.jpg"
    images = {
        "0.JPEG": image_bytes(1),
        "0.left.png": image_bytes(2, "PNG"),
        "0.mask.webp": image_bytes(3, "WEBP"),
        "1.image": image_bytes(4),
        "d/2.input": image_bytes(5, "WEBP"),
        "3": image_bytes(6, "PNG"),
        "e.f/4.Bmp": image_bytes(7, "BMP"),
        "5.empty.jpg": b"",
        "ä b.tiff": image_bytes(8, "TIFF"),
        long: image_bytes(9),
    }
    others = {
        "0.txt": b"BMW on a road",
        "0.cls": b"3",
        "1.json": b"{}",
        ".hidden.jpg": b"x",
        "d/._2.jpg": b"x",
        "6.npy": b"\x93NUMPY",
    }
    names = sorted({**images, **others})
    tar = tar_of(tmp_path / "x.tar", {n: {**images, **others}[n] for n in names}, kind=kind)
    listing = list_tar(tar)
    assert listing.damage is None
    assert [ref.name for ref in listing.images] == [f"x.tar/{n}" for n in names if n in images]
    for ref in listing.images:
        if ref.size:
            assert read_bytes(ref, max_pixels=10**6) == images[ref.name.removeprefix("x.tar/")]


@pytest.mark.parametrize("own", [True, False])
def test_a_half_written_tar_gives_its_readable_images_and_the_damage(
    own: bool, tmp_path: Path
) -> None:
    """Cut at any block, every image that is whole is listed, with a line on the damage."""
    out = packed(tmp_path)
    tar = out / "train-000000.tar"
    whole = list_tar(tar).images
    data = tar.read_bytes()
    stored = [(m.offset + m.size, m.name) for m in members(tar)]
    stops = [stop for stop, name in stored if name.endswith(".jpg")]
    described = [stop for stop, name in stored if name.endswith(".json")]
    if not own:
        (out / "dataset.json").unlink()
    for cut in range(512, stored[-1][0], 512):
        tar.write_bytes(data[:cut])
        listing = list_tar(tar)
        assert listing.damage is not None
        assert listing.damage.startswith("train-000000.tar: truncated: ")
        places = [(ref.offset, ref.size) for ref in listing.images]
        assert places == [(ref.offset, ref.size) for ref in whole][: sum(s <= cut for s in stops)]
        named = [ref.name for ref in listing.images if ref.name.startswith("0")]
        expected = sum(stop <= cut for stop in described) if own else 0
        assert named == [ref.name for ref in whole][:expected]


def test_a_damaged_description_costs_only_the_name(tmp_path: Path) -> None:
    """An image whose description is damaged is listed all the same, as TAR/MEMBER."""
    out = packed(tmp_path)
    tar = out / "train-000000.tar"
    data = tar.read_bytes()
    tar.write_bytes(data.replace(b'"path":"001.jpg"', b'"path"?"001.jpg"'))
    names = [ref.name for ref in list_tar(tar).images]
    assert names == ["000.jpg", "train-000000.tar/train-00000001.jpg", "002.jpg"]


def test_an_empty_or_missing_tar_is_damage(tmp_path: Path) -> None:
    """A tar without a byte, or gone, or of other bytes, lists nothing and says why."""
    (tmp_path / "empty.tar").write_bytes(b"")
    (tmp_path / "text.tar").write_bytes(b"no tar at all" * 100)
    expected = {"empty.tar": "truncated", "text.tar": "not a tar", "gone.tar": "cannot be read"}
    for name, line in expected.items():
        listing = list_tar(tmp_path / name)
        assert listing.images == ()
        assert listing.damage is not None
        assert listing.damage.startswith(f"{name}: {line}")


def test_a_compressed_tar_is_an_error(tmp_path: Path) -> None:
    """A gzip-compressed tar is an error that says what to run, not an empty listing."""
    import gzip

    tar = make_tar(tmp_path / "x.tar", ["a.jpg"])
    (tmp_path / "y.tar").write_bytes(gzip.compress(tar.read_bytes()))
    with pytest.raises(CompressedTarError, match=r"y\.tar: compressed with gzip.* Run gunzip"):
        list_tar(tmp_path / "y.tar")


def add(tar: tarfile.TarFile, name: str, data: bytes = b"", **fields: Any) -> None:
    """A member with these bytes, and fields of its header as given."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    tar.addfile(info, io.BytesIO(data))


def rows(tar: Path) -> dict[str, bytes | str]:
    """The rows of a tar by their members: the bytes of good ones, the detail of others."""
    listing = list_tar(tar)
    assert listing.damage is None
    names = [ref.name.removeprefix(f"{tar.name}/") for ref in listing.images]
    assert len(set(names)) == len(names)
    return {
        name: read_bytes(ref, max_pixels=10**6) if ref.fault is None else ref.fault.detail
        for name, ref in zip(names, listing.images, strict=True)
    }


@pytest.mark.parametrize("kind", ["v7", "gnu", "ustar", "posix"])
@pytest.mark.parametrize("prefix", ["./", ""])
def test_a_link_is_the_image_that_it_leads_to(kind: str, prefix: str, tmp_path: Path) -> None:
    """Every link that GNU tar packs to an image of the tar has the bytes that the folder has."""
    folder = tmp_path / "in"
    (folder / "deep/er").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(image_bytes(1))
    (folder / "deep/b.jpg").write_bytes(image_bytes(2))
    (folder / "deep/plain").write_bytes(image_bytes(3, "PNG"))
    (folder / "note.txt").write_bytes(b"text")
    (folder / "hard.jpg").hardlink_to(folder / "a.jpg")
    (folder / "hard").hardlink_to(folder / "a.jpg")
    (folder / "deep/far.jpg").hardlink_to(folder / "a.jpg")
    for name, target in {
        "sym.jpg": "a.jpg",
        "sym": "./deep/../a.jpg",
        "chain.jpg": "sym.jpg",
        "deep/up.jpg": "../a.jpg",
        "deep/er/up.jpg": "../../deep/b.jpg",
        "to_plain": "deep/plain",
        "folder": "deep/er",
        "through.jpg": "folder/../b.jpg",  # of what the link leads to, and not of its own name
        "through": "folder/up.jpg",
    }.items():
        (folder / name).symlink_to(target)
    (folder / "to_note").symlink_to("note.txt")
    command = ["tar", "-C", str(folder), f"--format={kind}", "-cf", str(tmp_path / "x.tar")]
    # Hard links behind what they lead to, as GNU tar finds them.
    names = sorted(path.name for path in folder.iterdir())
    subprocess.run([*command, *(prefix + name for name in names)], check=True)
    files = [path for path in folder.rglob("*") if path.is_file()]
    expected = {
        prefix + str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if b"text" not in path.read_bytes()
    }
    assert len(expected) == 14
    assert rows(tmp_path / "x.tar") == expected
    listing = list_tar(tmp_path / "x.tar")
    assert listing.skipped == {".txt": 1, "no suffix": 1, "links that lead to no file": 1}


def test_links_are_resolved_as_tarfile_does(tmp_path: Path) -> None:
    """Of several members of a name, a hard link has the one in front, a symbolic link the last."""
    tar = tmp_path / "x.tar"
    link, symlink = {"type": tarfile.LNKTYPE}, {"type": tarfile.SYMTYPE}
    with tarfile.open(tar, "w") as made:
        add(made, "a.jpg", image_bytes(1))
        add(made, "old.jpg", **link, linkname="a.jpg")
        add(made, "last.jpg", **symlink, linkname="a.jpg")
        add(made, "d/last.jpg", **symlink, linkname="../a.jpg")
        add(made, "a.jpg", image_bytes(2))
        add(made, "new.jpg", **link, linkname="./a.jpg")
        add(made, "of_link.jpg", **link, linkname="last.jpg")
        add(made, "./b.jpg", image_bytes(3))
        add(made, "dot.jpg", **link, linkname="b.jpg")
        add(made, "L" * 150 + ".jpg", **link, linkname="./b.jpg")
        add(made, "l" * 150, image_bytes(4))
        add(made, "long.jpg", **symlink, linkname="l" * 150)
    with tarfile.open(tar) as made:
        expected = [made.extractfile(member).read() for member in made]  # type: ignore[union-attr]
        names = [member.name for member in made]
    listing = list_tar(tar)
    assert [ref.name for ref in listing.images] == [f"x.tar/{name}" for name in names]
    assert [read_bytes(ref, max_pixels=10**6) for ref in listing.images] == expected
    assert listing.notes == ("x.tar/a.jpg: several images have this name; each is a row.",)


def test_hard_links_with_and_without_a_slash_in_front_and_ahead_of_their_image(
    tmp_path: Path,
) -> None:
    """Absolute names and links are compared without the slash; a target may come late."""
    tar = tmp_path / "x.tar"
    with tarfile.open(tar, "w") as made:
        add(made, "/data/a.jpg", image_bytes(1))
        for name, target in {
            "b.jpg": "data/a.jpg",
            "c.jpg": "/data/a.jpg",
            "e.jpg": "d.jpg",
        }.items():
            add(made, name, type=tarfile.LNKTYPE, linkname=target)
        add(made, "f.jpg", type=tarfile.SYMTYPE, linkname="/data/a.jpg")
        add(made, "d.jpg", image_bytes(2))
    one, two = image_bytes(1), image_bytes(2)
    expected = {"/data/a.jpg": one, "b.jpg": one, "c.jpg": one, "e.jpg": two, "f.jpg": one}
    assert rows(tar) == expected | {"d.jpg": two}


def test_links_that_lead_to_no_image_are_rows_that_say_where_they_lead(tmp_path: Path) -> None:
    """Out of the tar, nowhere, in a circle, to a folder, a pipe: a row each, or counted."""
    tar = tmp_path / "x.tar"
    bad = {
        "out.jpg": ("/etc/hostname", "points outside the tar"),
        "up.jpg": ("../../a.jpg", "points outside the tar"),
        "gone.jpg": ("nowhere.jpg", "is not in the tar"),
        "one.jpg": ("two.jpg", "leads back to itself"),
        "two.jpg": ("one.jpg", "leads back to itself"),
        "self.jpg": ("self.jpg", "leads back to itself"),
        "round.jpg": ("ring/x.jpg", "leads back to itself"),
        "folder.jpg": ("d", "is a folder in the tar"),
        "empty_folder.jpg": ("void", "is a folder in the tar"),
        "pipe.jpg": ("fifo", "is a named pipe in the tar"),
    }
    with tarfile.open(tar, "w") as made:
        add(made, "d/a.jpg", image_bytes(1))
        add(made, "void", type=tarfile.DIRTYPE)
        add(made, "fifo", type=tarfile.FIFOTYPE)
        add(made, "tty.jpg", type=tarfile.CHRTYPE)
        add(made, "disk", type=tarfile.BLKTYPE)
        add(made, "ring", type=tarfile.SYMTYPE, linkname="ring")
        for name, (target, _) in bad.items():
            add(made, name, type=tarfile.SYMTYPE, linkname=target)
        add(made, "hard.jpg", type=tarfile.LNKTYPE, linkname="nowhere.jpg")
    found = rows(tar)
    assert found.pop("d/a.jpg") == image_bytes(1)
    assert found.pop("tty.jpg") == "a device, not a file"
    assert found.pop("hard.jpg") == "a link to 'nowhere.jpg', which is not in the tar"
    assert found == {name: f"a link to '{to}', which {why}" for name, (to, why) in bad.items()}
    assert list_tar(tar).skipped == {
        "named pipes": 1,
        "devices": 1,
        "links that lead to no file": 1,
    }
    for ref in list_tar(tar).images[1:]:
        with pytest.raises(BadImage, match=r"^unreadable: a"):
            read_bytes(ref, max_pixels=10**6)


def test_links_before_the_damage_of_a_tar_are_resolved(tmp_path: Path) -> None:
    """A tar that is truncated loses no link in front of the cut."""
    tar = tmp_path / "x.tar"
    with tarfile.open(tar, "w") as made:
        add(made, "a.jpg", image_bytes(1))
        add(made, "b.jpg", type=tarfile.LNKTYPE, linkname="a.jpg")
        add(made, "c.jpg", image_bytes(2) * 50)
        cut = made.offset - 512
    tar.write_bytes(tar.read_bytes()[:cut])
    listing = list_tar(tar)
    assert listing.damage is not None
    assert [ref.name for ref in listing.images] == ["x.tar/a.jpg", "x.tar/b.jpg"]
    assert {read_bytes(ref, max_pixels=10**6) for ref in listing.images} == {image_bytes(1)}


def test_what_is_no_image_is_counted_by_its_kind(tmp_path: Path) -> None:
    """Suffixes, hidden members, macOS's folder; nested archives are named as well."""
    tar = tmp_path / "x.tar"
    with tarfile.open(tar, "w") as made:
        made.add(tmp_path, "folder", recursive=False)
        for name in ("a.jpg", "b", "c.jpg_orig", "d.HEIC", "e.avif", "f.Ppm", "./g.jxl"):
            add(made, name, image_bytes(1))
        for name in ("._a.jpg", ".h/i.jpg", "__MACOSX/j.jpg", "k/.l.png"):
            add(made, name, image_bytes(1))
        for name in ("a.json", "b.json", "a.cls", "readme", "x.y z", "v.zip", "w.tar"):
            add(made, name, b"text")
        add(made, "z", b"PK\x03\x04" + bytes(60))
        add(made, "contiguous.jpg", image_bytes(2), type=tarfile.CONTTYPE)
        add(made, "unknown.jpg", image_bytes(2), type=b"Q")
    listing = list_tar(tar)
    names = [ref.name.removeprefix("x.tar/") for ref in listing.images]
    assert names == [
        *("a.jpg", "b", "c.jpg_orig", "d.HEIC", "e.avif", "f.Ppm", "./g.jxl"),
        *("contiguous.jpg", "unknown.jpg"),
    ]
    assert listing.skipped == {
        "hidden .jpg": 3,
        "hidden .png": 1,
        ".json": 2,
        ".cls": 1,
        "no suffix": 3,
        ".zip": 1,
        ".tar": 1,
    }
    assert len(listing.notes) == 1
    assert listing.notes[0].startswith("x.tar: v.zip, w.tar, z: archives inside a tar")


def test_a_pipe_named_as_a_tar_is_damage_and_not_waited_for(tmp_path: Path) -> None:
    """A named pipe without a writer is refused at once."""
    os.mkfifo(tmp_path / "x.tar")
    listing = list_tar(tmp_path / "x.tar")
    assert listing.images == ()
    assert listing.damage == "x.tar: cannot be read: a named pipe, not a file."
