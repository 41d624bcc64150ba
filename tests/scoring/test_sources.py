"""What may be given as SRC, and what is refused with one line and a cure."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
from score_doubles import make_files
from test_units import make_tar, packed

from shards.errors import DamageError
from vocscore.errors import ScoreError
from vocscore.scoring.inputs.globs import Globs
from vocscore.scoring.inputs.sources import read_source
from vocscore.scoring.inputs.urls import refuse_url

__all__ = ["packed"]  # a fixture

JPEG = b"\xff\xd8\xff rest"
pytestmark = pytest.mark.timeout(60)


def zipped(file):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.jpg", JPEG)
    return file


def names_of(inputs):
    return [ref.name for unit in inputs.units(100) for ref in unit.read().images]


def refused(source):
    with pytest.raises(ScoreError) as error:
        read_source(source)
    line = str(error.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    "name", ["p.zip", "P.ZIP", "p.jpg", "p", "p.tar", "p.bin", "p.txt", "p.cbz"]
)
def test_a_zip_as_source_is_refused_with_the_command_whatever_its_name(tmp_path, name):
    """An archive under any name is never one bad row."""
    line = refused(zipped(tmp_path / name))
    assert f"a ZIP archive, which is not read. Unpack it (unzip {tmp_path / name})" in line


@pytest.mark.parametrize(
    ("name", "first", "kind"),
    [
        ("a.7z", b"7z\xbc\xaf\x27\x1c", "7z x"),
        ("a", b"Rar!\x1a\x07\x01\0", "unrar x"),
        ("a.rar", b"not even an archive", "unrar x"),
        ("a.tar.gz", gzip.compress(b"x"), "gunzip"),
        ("a.tgz", gzip.compress(b"x"), "gunzip"),
        ("a.jpg", gzip.compress(b"x"), "gunzip <"),
        ("a.tar.zst", b"\x28\xb5\x2f\xfd", "unzstd"),
        ("a.tar.xz", b"", "unxz"),
        ("a.iso", b"\0" * 99, "7z x"),
    ],
)
def test_other_archives_are_refused_with_their_commands(tmp_path, name, first, kind):
    """By their names or their first bytes."""
    (tmp_path / name).write_bytes(first)
    assert f"({kind} " in refused(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b"path,label\na.jpg,cat\n"),
        ("run.py", b"print()"),
        ("v.mp4", b"\0\0\0\x18ftypmp42" + bytes(99)),
        ("doc.docx", b"PK\x03\x04 a document"),
        ("empty", b""),
        ("noise", bytes(range(256)) * 9),
        ("dataset.json", b"{}"),
    ],
)
def test_one_file_that_is_no_image_is_refused_with_what_a_source_is(tmp_path, name, data):
    """A table, a program, a film: one line, and not one bad row."""
    (tmp_path / name).write_bytes(data)
    line = refused(tmp_path / name)
    assert f"{name}: not an image by its name or its first bytes, not a tar, not a list" in line
    assert "A source is" in line


def test_an_image_by_its_name_is_a_row_whatever_is_in_it(tmp_path):
    """An empty or foreign file called a.jpg, and a format that is not decoded, are rows."""
    for name, data in (("a.jpg", b""), ("b.JPG", b"<html>"), ("c.heic", b"x"), ("d.pdf", b"%PDF-")):
        (tmp_path / name).write_bytes(data)
        assert names_of(read_source(tmp_path / name)) == [name]


def test_a_tar_is_one_by_its_first_bytes(tmp_path):
    """A tar under another name is scored, and so is a link to one."""
    make_tar(tmp_path / "x.tar", {"a.jpg": JPEG}).rename(tmp_path / "x.backup")
    (tmp_path / "latest").symlink_to("x.backup")
    assert names_of(read_source(tmp_path / "x.backup")) == ["x.backup/a.jpg"]
    assert names_of(read_source(tmp_path / "latest")) == ["latest/a.jpg"]


@pytest.mark.parametrize("name", ["a.jpg", "a.tar", "a.txt", "a"])
def test_a_pipe_is_refused_and_the_way_on_is_told(tmp_path, name):
    """A named pipe is not waited for; a list comes as '-'."""
    os.mkfifo(tmp_path / name)
    line = refused(tmp_path / name)
    assert "a named pipe, not a file" in line
    assert "give '-'" in line
    assert "a device, not a file" in refused(Path("/dev/null"))


def test_a_pipe_among_tars_is_a_row(tmp_path):
    """A named pipe called x.tar costs its own row, and the other tars are scored."""
    make_tar(tmp_path / "a.tar", {"a.jpg": JPEG})
    os.mkfifo(tmp_path / "b.tar")
    whole, pipe = read_source(tmp_path).units(1)
    assert len(whole.read().images) == 1
    assert str(pipe.read().refusal) == "unreadable: a named pipe, not a file"


def test_sources_that_lead_nowhere_are_one_line(tmp_path):
    """Broken links, links in a circle, names too long, nothing at all."""
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    assert "no such file" in refused(tmp_path / "gone.jpg")
    assert "too many levels" in refused(tmp_path / "circle")
    assert "name too long" in refused(tmp_path / ("x" * 300))
    assert refused("").startswith("SRC is empty")


def test_a_folder_that_may_not_be_read_is_one_line(tmp_path, monkeypatch):
    """The folder itself has to be readable."""

    def refusing(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", refusing)
    assert f"{tmp_path}: permission denied" in refused(tmp_path)


def test_archives_in_a_folder_are_counted_and_named(tmp_path):
    """Beside images and beside tars a warning; alone an error with the command."""
    for name in ("b.zip", "sub/c"):
        (tmp_path / "in/sub").mkdir(parents=True, exist_ok=True)
        zipped(tmp_path / "in" / name)
    folder = tmp_path / "in"
    line = refused(folder)
    assert "no image in it or its subfolders" in line
    assert f"unpack b.zip, sub/c first (unzip {folder}/b.zip)" in line
    make_tar(folder / "t.tar", {"a.jpg": JPEG})
    for _ in range(2):
        inputs = read_source(folder)
        assert inputs.problems[0].startswith("b.zip, sub/c: archives are not read (2 here)")
        assert inputs.skipped == {".zip": 1, "no suffix": 1}
        make_files(folder, ["p.jpg"])


def test_a_folder_of_compressed_tars_alone_is_refused_with_the_command(tmp_path):
    """Rows that all say 'unpack me' are no output."""
    for name in ("b.tgz", "a.tar.gz"):
        (tmp_path / name).write_bytes(gzip.compress(b"x"))
    line = refused(tmp_path)
    assert f"unpack a.tar.gz, b.tgz first (gunzip {tmp_path}/a.tar.gz)" in line


@pytest.mark.parametrize(
    "text",
    [
        "s3:/b/p",
        "GS:/b",
        "oss://b/p",
        "hdfs://n/p",
        "ftp://h/a.jpg",
        "weird+x://y",
    ],
)
def test_urls_are_refused_with_a_cure(text, tmp_path, monkeypatch):
    """As they were typed, and as `Path` leaves them; a file of that name is a file."""
    monkeypatch.chdir(tmp_path)
    line = refused(text)
    assert line.startswith(f"{text}: ")
    assert (
        "object storage is not read directly. Copy it first" in line or "Download it first" in line
    )
    with pytest.raises(ScoreError, match="only files are written"):
        refuse_url(text, written=True)
    make_files(tmp_path, [f"{text}/a.jpg" if text != "ftp://h/a.jpg" else text])
    assert names_of(read_source(text)) == ["a.jpg"]


@pytest.mark.parametrize(
    "text", ["photos", "/a/b", "C:/photos", "a:b", "a b:/c", "../s3:/x", "x:/y"]
)
def test_paths_are_no_urls(text):
    """A colon makes no URL."""
    refuse_url(text)
    refuse_url(text, written=True)


STRANGERS = [b'{"labels": [["a.jpg", 3]]}', b"[1, 2]", b"", bytes(range(256)), None, "fifo"]


@pytest.mark.parametrize("data", STRANGERS)
def test_a_strangers_dataset_json_beside_tars_does_not_hide_them(tmp_path, data):
    """Whatever another program calls dataset.json, the tars beside it are scored."""
    make_tar(tmp_path / "train-000000.tar", {"a.jpg": JPEG})
    if data is None:
        (tmp_path / "dataset.json").mkdir()
    elif data == "fifo":
        os.mkfifo(tmp_path / "dataset.json")
    else:
        (tmp_path / "dataset.json").write_bytes(data)
    inputs = read_source(tmp_path)
    assert names_of(inputs) == ["train-000000.tar/a.jpg"]
    assert names_of(read_source(tmp_path / "train-000000.tar")) == ["train-000000.tar/a.jpg"]


@pytest.fixture
def copy(packed, tmp_path):
    """A packed set to put things into, and the paths of its images."""
    folder, paths = packed
    shutil.copytree(folder, tmp_path / "set")
    return tmp_path / "set", paths


def test_a_damaged_manifest_of_ours_is_an_error(copy):
    """Other names than those before packing would be wrong rows."""
    folder, _ = copy
    text = (folder / "dataset.json").read_text()
    (folder / "dataset.json").write_text(text[:-20])
    with pytest.raises(DamageError, match=r"dataset\.json"):
        read_source(folder)


def test_a_clean_packed_set_has_nothing_to_say_and_its_old_digest(copy):
    """Indexes, manifest and table of rejected images are the set's own; the digest is as it was."""
    folder, paths = copy
    (folder / "rejected.csv").write_text("path,reason,detail\n")
    inputs = read_source(folder)
    assert (inputs.problems, inputs.skipped, names_of(inputs)) == ([], {}, paths)
    lines = []
    for name in inputs.names:
        status = (folder / name).stat()
        lines.append(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0")
    assert inputs.digest() == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_tars_added_to_a_packed_set_are_scored_behind_it(copy):
    """In sorted order, by TAR/MEMBER, with a warning; the number of images is not known then."""
    folder, paths = copy
    before = read_source(folder).digest()
    make_tar(folder / "z.tar", {"new.jpg": JPEG})
    make_tar(folder / "extra-000000.tar", {"more.jpg": JPEG})
    inputs = read_source(folder)
    assert names_of(inputs) == [*paths, "extra-000000.tar/more.jpg", "z.tar/new.jpg"]
    assert inputs.images is None
    assert inputs.digest() != before
    (line,) = inputs.problems
    assert line.startswith("extra-000000.tar, z.tar: not in dataset.json; scored after")
    assert names_of(read_source(folder, globs=Globs((), ("z.tar",)))) == names_of(inputs)[:-1]


def test_shards_left_by_another_run_are_not_scored_twice(copy):
    """A shard that only another packing knows is named, and its images are no rows."""
    folder, paths = copy
    shutil.copy(folder / "val-000000.tar", folder / "val-000001.tar")
    shutil.copy(folder / "val-000000.tar", folder / "old-000000.tar")
    shutil.copy(folder / "val-000000.idx", folder / "old-000000.idx")
    inputs = read_source(folder)
    assert names_of(inputs) == paths
    (line,) = inputs.problems
    assert line.startswith("old-000000.tar, val-000001.tar: named like a shard of this set")
    assert "(2 here)" in line


def test_what_else_lies_in_a_packed_set_is_counted_and_named(copy):
    """Images, archives, tars in folders below, other and hidden files."""
    folder, paths = copy
    make_files(folder, ["loose.jpg", "a/b.png", "a/README.md", ".hidden", "notes.txt", "photo"])
    (folder / "photo").write_bytes(JPEG)
    zipped(folder / "v.zip")
    make_tar(folder / "a/t.tar", {"x.jpg": JPEG})
    inputs = read_source(folder)
    assert names_of(inputs) == paths
    assert [line.split(":")[0] for line in inputs.problems] == [
        "a/t.tar",
        "a/b.png, loose.jpg, photo",
        "v.zip",
    ]
    assert inputs.skipped == {".md": 1, "hidden no suffix": 1, ".txt": 1, ".zip": 1}


def test_images_by_their_first_bytes_go_through_patterns(tmp_path):
    """`--include` and `--exclude` hold for images without a suffix as for others."""
    make_files(tmp_path, ["a/photo", "b.jpg"])
    (tmp_path / "a/photo").write_bytes(JPEG)
    assert names_of(read_source(tmp_path)) == ["a/photo", "b.jpg"]
    assert names_of(read_source(tmp_path, globs=Globs(("a/*",)))) == ["a/photo"]
    assert names_of(read_source(tmp_path, globs=Globs((), ("a/*",)))) == ["b.jpg"]


def test_a_clean_folder_and_tar_have_their_old_digests(tmp_path):
    """What an unfinished run of an older version has listed is listed as it was."""
    names = ["b/x.JPG", "a.png", "a/z.jpeg", "é.bmp"]
    inputs = read_source(make_files(tmp_path / "f", [*names, "n.txt", ".h.jpg"]))
    expected = hashlib.sha256("".join(f"{name}\0" for name in sorted(names)).encode()).hexdigest()
    assert inputs.digest() == expected
    tar = make_tar(tmp_path / "t/a.tar", {"x.jpg": JPEG})
    status = tar.stat()
    line = f"a.tar\0{status.st_size}\0{status.st_mtime_ns}\0"
    assert read_source(tar).digest() == hashlib.sha256(line.encode()).hexdigest()


def test_members_of_a_tar_are_counted_by_kind(tmp_path):
    """A unit tells what it has left out; links without a target are rows with their fault."""
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, data in {"1.jpg": JPEG, "1.json": b"{}", "._1.jpg": b"x"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for name, target in {"2.jpg": "1.jpg", "3.jpg": "gone.jpg"}.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    (unit,) = read_source(tmp_path).units(1)
    contents = unit.read()
    assert [ref.name for ref in contents.images] == ["a.tar/1.jpg", "a.tar/2.jpg", "a.tar/3.jpg"]
    assert [ref.fault is not None for ref in contents.images] == [False, False, True]
    assert contents.skipped == {".json": 1, "hidden .jpg": 1}
    assert not contents.problems


def test_names_of_any_bytes_are_sources(tmp_path):
    """A source whose name is no text or has a line end is listed, and refused in one line."""
    name = os.fsdecode(b"caf\xe9\n")
    make_files(tmp_path, [f"{name}/a.jpg"])
    assert names_of(read_source(tmp_path / name)) == ["a.jpg"]
    (tmp_path / name / "a.jpg").unlink()
    assert "no image in it" in refused(tmp_path / name)
