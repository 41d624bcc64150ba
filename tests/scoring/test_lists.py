"""Lists of paths as people and other tools write them."""

from __future__ import annotations

import os

import pytest
from score_doubles import make_files, score_fake

from shards.errors import Reason
from vocscore.errors import ScoreError
from vocscore.scoring.inputs.globs import Globs
from vocscore.scoring.inputs.sources import read_source


def listed(source, **arguments):
    """Names and faults of the rows, and the inputs."""
    inputs = read_source(source, **arguments)
    refs = [ref for unit in inputs.units(2) for ref in unit.read().images]
    return [ref.name for ref in refs], [ref.fault for ref in refs], inputs


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    make_files(tmp_path, ["a.jpg", "sub/b.jpg", "c d.jpg", "home/h.jpg", "x.tar", "y.zip"])
    return tmp_path


def readings(folder):
    """Lines that name no file as they stand -> the file that is meant."""
    return {
        "sub/b.jpg ": "sub/b.jpg",
        "\t a.jpg\t": "a.jpg",
        '"c d.jpg"': "c d.jpg",
        "'a.jpg'": "a.jpg",
        ' "a.jpg" ': "a.jpg",
        "~/h.jpg": f"{folder}/home/h.jpg",
        f"file://{folder}/a.jpg": f"{folder}/a.jpg",
        f"file://localhost{folder}/c%20d.jpg": f"{folder}/c d.jpg",
        f"FILE:{folder}/a.jpg": f"{folder}/a.jpg",
        "c%20d.jpg": "c d.jpg",
        "sub\\b.jpg": "sub/b.jpg",
        ".\\sub\\b.jpg": "./sub/b.jpg",
        "a.jpg 3": "a.jpg",
        "a.jpg 0 1 0.5": "a.jpg",
        "c d.jpg 17": "c d.jpg",
        "a.jpg\tcat\t0.3": "a.jpg",
        "a.jpg,cat,dog": "a.jpg",
        '"c d.jpg";cat': "c d.jpg",
        "7\t3.0\tsub/b.jpg": "sub/b.jpg",
        "8\t1\t-0.5\t2e-3\tc d.jpg": "c d.jpg",
    }


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["l.txt", "l.LST", "l.list", "l.Txt"])
def test_lines_are_read_as_people_write_them(folder, name, end):
    """Each other way to write a path leads to its file, with one warning that shows the first."""
    lines = readings(folder)
    text = "\ufeffa.jpg" + end + "# note" + end + end + end.join(lines) + end + "   " + end
    (folder / name).write_bytes(text.encode())
    names, faults, inputs = listed(folder / name)
    assert names == ["a.jpg", *lines.values()]
    assert faults == [None] * len(names)
    assert inputs.skipped == {"comment lines": 1}
    (note,) = inputs.problems
    line = 1 if end == "\r" else 4
    assert f"{len(lines)} of its lines name no file as written" in note
    assert f"(line {line}) 'sub/b.jpg ' as 'sub/b.jpg'" in note


def test_a_file_that_is_there_is_taken_as_it_is_written(folder):
    """Names with anything in them are paths first: nothing is taken off that belongs to them."""
    odd = ["# note", '"c d.jpg"', "a.jpg 3", "c%20d.jpg", "sub\\b.jpg", "x,y.jpg", "~", "1\t2\tz"]
    odd += [" a.jpg", "é.jpg", "http:/a.jpg"]
    make_files(folder, odd)
    (folder / "l.txt").write_text("\n".join([*odd, "a.jpg"]), encoding="utf-8")
    names, faults, inputs = listed(folder / "l.txt")
    assert names == [*odd, "a.jpg"]
    assert (faults, inputs.problems, inputs.skipped) == ([None] * len(names), [], {})


def test_a_line_that_names_no_image_is_a_row_that_says_why(folder):
    """Folders, tars, archives, URLs and paths of Windows: each its own row with its reason."""
    (folder / "old.txt").mkdir()
    expected = {
        "gone.jpg": None,
        "gone 3.jpg": None,
        "sub/": (Reason.UNREADABLE, "a folder, not a file"),
        "x.tar": (Reason.UNSUPPORTED, "a tar; a list can only name images"),
        "y.zip": (Reason.UNSUPPORTED, "a ZIP archive"),
        "gone.tar": None,
        "https://h/a.jpg": None,
        "s3://b/a.jpg": None,
        "ftp://h/a.jpg": (Reason.UNSUPPORTED, "Download it first"),
        "hdfs://b/a.jpg": (Reason.UNSUPPORTED, "object storage is not read directly"),
        "C:\\p\\a.jpg": (Reason.VANISHED, "a Windows path"),
        "\\\\server\\p\\a.jpg": (Reason.VANISHED, "a Windows path"),
        "file:///gone.jpg": None,
        "~/gone.jpg": None,
    }
    (folder / "l.txt").write_text("\n".join(["a.jpg", *expected]))
    names, faults, inputs = listed(folder / "l.txt")
    assert names == ["a.jpg", *expected]
    for fault, why in zip(faults[1:], expected.values(), strict=True):
        assert (fault is None) == (why is None)
        if why is not None:
            assert fault.reason == why[0]
            assert why[1] in fault.detail
    assert inputs.problems == []


def test_the_path_of_an_indexed_list_is_the_name_of_its_row(folder):
    """A line of MXNet's is called by its path, whether that is there or not."""
    (folder / "l.lst").write_text("0\t1\ta.jpg\n1\t0\tgone.jpg\n2\t0\tsub/b.jpg\n")
    assert listed(folder / "l.lst")[0] == ["a.jpg", "gone.jpg", "sub/b.jpg"]


def test_only_lines_that_look_odd_are_compared_with_the_disk(folder, monkeypatch):
    """A plain list of a million paths asks for none of them."""
    (folder / "l.txt").write_text("".join(f"d{n}/photo {n}_x-(1).jpg\n" for n in range(100)))
    asked = []
    real = os.stat

    def watching(path, *arguments, **options):
        asked.append(str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", watching)
    monkeypatch.setattr(os, "lstat", watching)
    assert len(listed(folder / "l.txt")[0]) == 100
    assert not [path for path in asked if "photo" in path]


def test_faults_stay_with_their_names_through_patterns_and_units(folder, tmp_path):
    """Patterns leave rows out, and the others keep their reasons, in the output as well."""
    (folder / "l.txt").write_text("x.tar\na.jpg\ny.zip\nftp://h/b.jpg\nx.tar\n")
    names, faults, inputs = listed(folder / "l.txt", globs=Globs((), ("y*",)))
    assert names == ["x.tar", "a.jpg", "ftp://h/b.jpg", "x.tar"]
    assert [fault is not None for fault in faults] == [True, False, True, True]
    assert inputs.digest() == listed(folder / "l.txt", globs=Globs((), ("y*",)))[2].digest()
    ledger = score_fake(folder / "l.txt", tmp_path / "o.csv")
    assert sum(record.rows for record in ledger.records.values()) == 5


def test_a_list_of_comments_alone_is_an_error(folder):
    """Nothing to score is said, and not a row for the comment."""
    (folder / "l.txt").write_text("# a\n#b\n")
    with pytest.raises(ScoreError, match="contains no path"):
        read_source(folder / "l.txt")


def test_a_list_that_is_an_image_or_an_archive_is_taken_for_that(folder):
    """The bytes win where no text could begin so; a list that begins like an image is a list."""
    (folder / "i.txt").write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF\0")
    assert listed(folder / "i.txt")[0] == ["i.txt"]
    (folder / "z.txt").write_bytes(b"PK\x03\x04\0\0")
    with pytest.raises(ScoreError, match="a ZIP archive"):
        read_source(folder / "z.txt")
    (folder / "g.txt").write_text("GIF8/a.jpg\n")
    assert listed(folder / "g.txt")[0] == ["GIF8/a.jpg"]


def test_a_list_of_zeros_is_refused_by_its_first_piece(folder):
    """A sparse file larger than any memory is one line of zeros, and not read to its end."""
    with (folder / "l.txt").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ScoreError, match="contains a zero byte, as no path does"):
        listed(folder / "l.txt")


def test_a_line_longer_than_a_piece_is_read_whole(folder):
    """Ends of lines as of old Macs: one long line holds every path."""
    names = [f"{number:070d}.jpg" for number in range(40_000)]
    (folder / "l.txt").write_bytes("\r".join(names).encode())
    assert listed(folder / "l.txt")[0] == names
