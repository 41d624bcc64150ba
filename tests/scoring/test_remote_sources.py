"""Folders, shards, tars, lists and images on object storage as inputs of scoring."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest
from score_doubles import make_files

from shards.errors import Error
from vocscore.config.scoring import ScoreConfig, UpdateConfig
from vocscore.errors import ScoreError
from vocscore.scoring.inputs.globs import Globs
from vocscore.scoring.inputs.sources import given_name, read_source, source_name
from vocscore.scoring.inputs.tar_units import Tars
from vocscore.scoring.inputs.units import LooseFiles
from vocscore.scoring.run import score

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Put = Callable[[Mapping[str, bytes]], str]

JPEG = b"\xff\xd8\xff\xe0" + bytes(600)
TREE = {
    "b/x.JPG": b"1",
    "a.png": b"2",
    "a/z.jpeg": b"",
    "a-b.webp": b"4",
    "é 1%20+.bmp": b"5",
    "photo": JPEG,
    "notes.txt": b"text",
    "noext": b"nothing",
    ".hidden/x.jpg": b"",
    "b/._x.jpg": b"",
    "b/__MACOSX/x.jpg": b"",
    "c/packed.zip": b"PK",
    "c/x.tar": b"",
}


def tar_of(names: list[str]) -> bytes:
    """The bytes of a tar with empty members."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
    return data.getvalue()


@pytest.fixture
def put(storage) -> Put:
    """Stores objects below a new prefix and returns its URL."""

    def store(objects: Mapping[str, bytes], prefix: str = "some/set") -> str:
        for name, data in objects.items():
            storage.put(f"{prefix}/{name}", data)
        return storage.url(prefix)

    return store


def tree(folder: Path, files: Mapping[str, bytes]) -> Path:
    """A folder with these files."""
    make_files(folder, files)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("end", ["", "/"])
def test_a_prefix_is_read_as_the_folder_with_the_same_files(put, tmp_path, end) -> None:
    """Names, their order, counts by kind, warnings and the digest are those of the folder."""
    local = read_source(tree(tmp_path, TREE))
    found = read_source(put({**TREE, "a/": b"", "": b""}) + end)
    assert isinstance(found, LooseFiles)
    assert list(found.names) == list(local.names)
    assert (found.skipped, found.problems) == (local.skipped, local.problems)
    assert found.digest() == local.digest()
    files = [ref.file for unit in found.units(2) for ref in unit.read().images]
    assert files == [f"{put({})}/{name}" for name in local.names]


def test_patterns_choose_among_keys(put) -> None:
    """`--include` and `--exclude` match paths below the prefix."""
    url = put(TREE)
    found = read_source(url, globs=Globs(("*.png", "b/*")))
    assert list(found.names) == ["a.png", "b/x.JPG"]
    with pytest.raises(
        ScoreError, match=r"s3://.*/some/set: `include=\['q\*'\]` leaves none of its 6"
    ):
        read_source(url, globs=Globs(("q*",)))


def test_tars_below_a_prefix_are_units_with_their_sizes_and_tags(put) -> None:
    """The digest covers names, sizes and entity tags: another content is another listing."""
    tars = {"1.tar": tar_of(["a.jpg"]), "b/0.tar": tar_of(["b.jpg"])}
    found = read_source(put(tars))
    assert isinstance(found, Tars)
    assert list(found.names) == ["1.tar", "b/0.tar"]
    assert found.sizes == [len(data) for data in tars.values()]
    digest = found.digest()
    assert read_source(put({})).digest() == digest
    assert read_source(put({"1.tar": tar_of(["c.jpg"])})).digest() != digest


def test_a_packed_set_is_read_by_its_manifest(put, packed, tmp_path) -> None:
    """Shards come in the order of the splits, other tars behind them; numbers are known."""
    files = {path.name: path.read_bytes() for path in packed.iterdir() if path.is_file()}
    files |= {"added.tar": tar_of(["x.jpg"]), "train-999999.tar": tar_of([]), "notes.txt": b""}
    local = read_source(tree(tmp_path, files))
    url = put(files)
    found = read_source(url)
    assert isinstance(found, Tars)
    for name in ("names", "samples", "skipped", "sizes", "images"):
        assert getattr(found, name) == getattr(local, name)
    assert list(found.problems) == list(local.problems)


def test_a_packed_set_without_one_of_its_shards_is_refused(put, packed, storage) -> None:
    """One line names the shard; nothing is scored."""
    files = {path.name: path.read_bytes() for path in packed.iterdir() if path.is_file()}
    gone = min(name for name in files if name.endswith(".tar"))
    del files[gone]
    with pytest.raises(ScoreError, match=rf"some/set/{gone}: listed in dataset.json, but missing"):
        read_source(put(files))


def test_a_manifest_of_another_program_or_without_tars_is_a_file(put) -> None:
    """A folder of images may have a `dataset.json`; it is counted."""
    found = read_source(put({"dataset.json": b'{"format": "vocscore shards"}', "a.jpg": b""}))
    assert (list(found.names), found.skipped) == (["a.jpg"], {".json": 1})
    found = read_source(put({"dataset.json": b"[1]", "a.tar": b"", "b/a.jpg": b""}))
    assert list(found.names) == ["a.jpg", "b/a.jpg"]


def test_one_image_one_tar_and_one_list_are_sources(put) -> None:
    """Objects are recognized by name or first bytes; paths in a list are relative to its prefix."""
    url = put(
        {
            "a.png": b"",
            "photo": JPEG,
            "x.tar": tar_of(["a.jpg"]),
            "all.txt": b"\xef\xbb\xbfb/1.jpg\r\n# two\n/data/2.jpg\nx.tar\n 3.jpg\n",
        }
    )
    for name in ("a.png", "photo"):
        (ref,) = next(read_source(f"{url}/{name}").units(9)).read().images
        assert (ref.name, ref.file) == (name, f"{url}/{name}")
    tars = read_source(f"{url}/x.tar")
    assert isinstance(tars, Tars)
    assert (tars.root, tars.names) == (url, ["x.tar"])
    listed = read_source(f"{url}/all.txt")
    assert list(listed.names) == ["b/1.jpg", "/data/2.jpg", "x.tar", " 3.jpg"]
    assert listed.skipped == {"comment lines": 1}
    refs = next(listed.units(9)).read().images
    assert [ref.file for ref in refs] == [
        f"{url}/b/1.jpg",
        "/data/2.jpg",
        f"{url}/x.tar",
        f"{url}/ 3.jpg",
    ]
    assert [ref.fault is not None for ref in refs] == [False, False, True, False]


def test_a_mistyped_bucket_or_prefix_is_one_line_and_no_row(put, storage) -> None:
    """Nothing is listed: the run ends before it begins."""
    url = put({"a.jpg": b""})
    with pytest.raises(ScoreError, match="some/sat: no object of this name, and none below it"):
        read_source(url.replace("some/set", "some/sat"))
    with pytest.raises(Error, match=f"{storage.name}-2") as raised:
        read_source(url.replace(storage.name, f"{storage.name}-2"))
    assert "\n" not in str(raised.value)


def test_a_prefix_without_images_says_what_is_there(put) -> None:
    """As for a folder: the kinds that were skipped, with their numbers."""
    url = put({"a.txt": b"", "b/c.json": b"", "x.zip": b"PK"})
    with pytest.raises(ScoreError, match=r"no image in it or its subfolders .*\.json 1, \.txt 1"):
        read_source(url)


def test_keys_that_cannot_be_files_are_named_not_fatal(put) -> None:
    """One odd key among millions does not end the listing; it is counted and named."""
    names = ["a//b.jpg", "../c.jpg", "good.jpg", "l\x01.jpg", "z.jpg"]
    found = read_source(put(dict.fromkeys(names, b"")))
    assert list(found.names) == ["good.jpg", "z.jpg"]
    assert list(found.skipped.values()) == [3]
    assert "../c.jpg, a//b.jpg, 'l\\x01.jpg': keys with" in found.problems[0]


def test_a_bucket_is_a_folder(storage) -> None:
    """The URL of a bucket lists all of it."""
    storage.put("top.jpg", b"")
    url = f"s3://{storage.name}"
    for source in (url, f"{url}/"):
        found = read_source(source, globs=Globs(("top.jpg",)))
        assert next(found.units(1)).read().images[0].file == f"{url}/top.jpg"


def test_an_update_from_a_url_is_refused_before_anything_is_listed(tmp_path) -> None:
    """Sizes and times of objects are not recorded; one line, and no request."""
    config = ScoreConfig(update=UpdateConfig(update=True))
    with pytest.raises(ScoreError, match=r"^s3://b/p: `update=True` compares files"):
        score("s3://b/p", tmp_path / "o.csv", config, checkpoint=tmp_path)


def test_the_name_of_a_source_has_neither_credentials_nor_query() -> None:
    """Plans and records hold the URL without them."""
    url = "https://user:secret@host/a.tar?signature=secret"
    assert source_name(url) == given_name(url) == "https://host/a.tar"
    assert source_name("s3://bucket/set/") == "s3://bucket/set"
    with pytest.raises(ScoreError, match=r"^https://host/a\.tar\?\.\.\.: a URL with credentials"):
        read_source(url)
