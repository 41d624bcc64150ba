from __future__ import annotations

import os
import socket
import tracemalloc
from pathlib import Path

import pytest
from score_doubles import make_files

from vocscore.scoring.inputs.walk import walk


def test_images_of_any_depth_and_case_come_sorted_by_their_whole_path(tmp_path):
    """Images are found by suffix in any case; code points of the whole path give the order."""
    names = ["b/x.JPG", "a.png", "a/z.jpeg", "a-b.webp", "B.tif", "a/b/c.gif", "é.bmp", "z.tiff"]
    found = walk(str(make_files(tmp_path, names)))
    assert found.images == sorted(names)
    assert found.images.index("a-b.webp") < found.images.index("a/b/c.gif")


def test_other_and_hidden_files_and_hidden_folders_are_counted_not_listed(tmp_path):
    """What is no image, or is hidden, is counted by its kind; a hidden folder counts as one."""
    names = ["a.jpg", "Thumbs.db", "notes.TXT", "noext", "._a.jpg", ".cache/b.jpg", ".cache/c.jpg"]
    names += ["b/x.txt", "b/.DS_Store", "b/__MACOSX/._y.jpg", ".ipynb_checkpoints/z.png"]
    found = walk(str(make_files(tmp_path, names)))
    assert found.images == ["a.jpg"]
    assert found.skipped == {
        ".db": 1,
        ".txt": 2,
        "no suffix": 1,
        "hidden .jpg": 1,
        "hidden no suffix": 1,
        "hidden folders": 2,
        "__MACOSX folders": 1,
    }
    assert not found.problems


def test_tars_are_listed_apart(tmp_path):
    """Tars are listed apart from images, sorted, compressed ones as well, hidden ones not."""
    names = ["b/x.tar", "a.TAR", ".h.tar", "p.jpg", "x.tar.gz", "x.gz", "y.TGZ"]
    found = walk(str(make_files(tmp_path, names)))
    assert found.tars == ["a.TAR", "b/x.tar", "x.tar.gz", "y.TGZ"]
    assert (found.images, found.skipped) == (["p.jpg"], {"hidden .tar": 1, ".gz": 1})
    assert found.archives == ["x.gz"]


def test_a_linked_folder_counts_under_each_name_and_a_loop_is_not_entered(tmp_path):
    """Linked folders are followed; one that leads back above itself is reported, not entered."""
    make_files(tmp_path, ["real/a.jpg", "real/deep/b.jpg"])
    (tmp_path / "linked").symlink_to("real")
    (tmp_path / "real/deep/up").symlink_to("..")
    (tmp_path / "real/deep/self").symlink_to(".")
    found = walk(str(tmp_path))
    assert found.images == ["linked/a.jpg", "linked/deep/b.jpg", "real/a.jpg", "real/deep/b.jpg"]
    loops = [f"{top}/deep/{name}/" for top in ("linked", "real") for name in ("self", "up")]
    assert [line.split(":")[0] for line in found.problems] == loops


def test_links_that_lead_nowhere_are_inputs(tmp_path):
    """A broken link, or one in a circle, named as an image is listed: it will be an error row."""
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    assert walk(str(tmp_path)).images == ["circle.jpg", "gone.jpg"]


def test_a_folder_named_as_an_image_is_a_folder(tmp_path):
    """A folder may be called x.jpg."""
    assert walk(str(make_files(tmp_path, ["x.jpg/y.jpg"]))).images == ["x.jpg/y.jpg"]


def test_names_that_are_no_text_are_kept(tmp_path):
    """Names in any encoding are listed and lead to their files."""
    raw = [b"caf\xe9.jpg", b"line\nend.png", b'quo"te,.jpg', b"\xff\xfe.gif"]
    for name in raw:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    found = walk(str(tmp_path)).images
    assert sorted(os.fsencode(name) for name in found) == sorted(raw)
    assert all((tmp_path / name).exists() for name in found)


def test_a_folder_that_cannot_be_read_is_reported_and_the_rest_is_listed(tmp_path, monkeypatch):
    """An unreadable folder is a problem with its name and cause; the others are listed."""
    make_files(tmp_path, ["a/1.jpg", "locked/2.jpg", "z/3.jpg"])
    scandir = os.scandir

    def refusing(folder):
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    found = walk(str(tmp_path))
    assert found.images == ["a/1.jpg", "z/3.jpg"]
    assert len(found.problems) == 1
    assert "locked/" in found.problems[0]
    assert "Permission denied" in found.problems[0]


def test_images_are_found_by_their_first_bytes(tmp_path):
    """A file whose name promises nothing is an image if its first bytes are those of one."""
    make_files(tmp_path, ["a/photo", "b.jpg_large", "c.php", "d.unknown", "e.txt"])
    for name in ("a/photo", "b.jpg_large", "c.php", "e.txt"):
        (tmp_path / name).write_bytes(b"\xff\xd8\xff\xe0 rest")
    (tmp_path / "f").write_bytes(b"PK\x03\x04 rest")
    found = walk(str(tmp_path))
    assert found.images == ["a/photo", "b.jpg_large", "c.php"]
    assert found.archives == ["f"]
    assert found.skipped == {".unknown": 1, ".txt": 1, "no suffix": 1}


def test_files_with_known_suffixes_are_not_opened(tmp_path, monkeypatch):
    """A clean folder pays nothing: images, tars and well-known other files stay closed."""
    names = ["a.jpg", "b.PNG", "c.json", "d.txt", "e.tar", "f.zip", "g.mp4", ".h", "i.heic"]
    make_files(tmp_path, [*names, "j"])
    opened = []
    monkeypatch.setattr(
        "vocscore.scoring.inputs.walk.open_regular",
        lambda path: opened.append(path) or os.open(path, 0),
    )
    walk(str(tmp_path))
    assert opened == [str(tmp_path / "j")]


@pytest.mark.timeout(30)
def test_what_is_no_file_is_not_opened(tmp_path):
    """Pipes, sockets, devices and links to nowhere are counted; named as images, they are rows."""
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        found = walk(str(tmp_path))
    assert found.images == ["pipe.jpg"]
    assert found.skipped == {
        "named pipes": 1,
        "sockets": 1,
        "devices": 1,
        "links that lead to no file": 2,
    }


def test_a_file_that_cannot_be_opened_is_counted(tmp_path, monkeypatch):
    """A file without a suffix that may not be read is no image, and is counted as unreadable."""
    make_files(tmp_path, ["a", "b.jpg"])

    def refusing(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("vocscore.scoring.inputs.walk.open_regular", refusing)
    found = walk(str(tmp_path))
    assert (found.images, found.skipped) == (["b.jpg"], {"unreadable files": 1})


def test_a_root_that_cannot_be_read_raises(tmp_path):
    """The folder itself must be there."""
    with pytest.raises(FileNotFoundError):
        walk(str(tmp_path / "none"))


def test_a_listing_takes_less_than_300_bytes_an_input(tmp_path):
    """Names of 40 characters take less than 300 bytes each, sorting included."""
    make_files(tmp_path, [f"{i % 7}/{'x' * 25}-{i:08d}.jpg" for i in range(3000)])
    tracemalloc.start()
    try:
        found = walk(str(tmp_path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found.images) == 3000
    assert peak / 3000 < 300


def test_a_listing_tells_how_far_it_is(tmp_path):
    """Counts rise while one large folder is listed, and when the next one is begun."""
    make_files(tmp_path, [f"a/{i}.jpg" for i in range(9000)] + ["b/x.jpg"])
    seen = []
    walk(str(tmp_path), listing=seen.append)
    assert seen == sorted(seen)
    assert len(seen) == 5  # the root, b, and a at its entries 0, 4096 and 8192
    assert 4000 < seen[-1] - seen[0] < 9001
