"""File names and class names that are not ASCII, in locales that are not UTF-8."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.exporting.exported_runs import make_run

if TYPE_CHECKING:
    from pathlib import Path

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
UNICODE = {"LC_ALL": "C.UTF-8"}
STEMS = ("a", "é", "日本")


def vocscore(*words: object, cwd: Path, locale: dict[str, str]) -> bytes:
    """Run the program in a process of its own, in a locale; its standard output."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG"))}
    done = subprocess.run(
        [sys.executable, "-m", "vocscore", *map(str, words)],
        cwd=cwd,
        env={**plain, **locale},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a VOC tree, a list, a table, an image that is missing and a list of classes."""
    root = tmp_path_factory.mktemp("källa")
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / "voc" / folder).mkdir(parents=True)
    for i, stem in enumerate(STEMS):
        file = io.BytesIO()
        Image.new("RGB", (32, 24), (i * 80, 90, 120)).save(file, "JPEG")
        (root / "voc" / "JPEGImages" / f"{stem}.jpg").write_bytes(file.getvalue())
        name = "vélo" if i else "chat"
        text = f"<annotation><object><name>{name}</name></object></annotation>"
        (root / "voc" / "Annotations" / f"{stem}.xml").write_text(text, encoding="utf-8")
    text = "<annotation/>"
    (root / "voc" / "Annotations" / "fehlt ü.xml").write_text(text, encoding="utf-8")
    lists = {"train.txt": "é\na\n", "val.txt": "日本\n"}
    for name, lines in lists.items():
        (root / "voc" / "ImageSets" / "Main" / name).write_text(lines, encoding="utf-8")
    (root / "classes.txt").write_text("vélo\nchat\n", encoding="utf-8")
    rows = "path,labels\nvoc/JPEGImages/é.jpg,vélo\nvoc/JPEGImages/a.jpg,chat\nñ.jpg,chat\n"
    (root / "tåble.csv").write_text(rows, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    "words", [["voc", "--classes", "classes.txt"], [".", "--labels", "tåble.csv"]]
)
def test_pack_writes_the_same_bytes(source: Path, tmp_path: Path, words: list[str]) -> None:
    """In an ASCII locale, packing writes what it writes in UTF-8: tars, rejected.csv, all."""
    made = {}
    for name, locale in (("ascii ö", ASCII), ("unicode", UNICODE)):
        out = tmp_path / name
        vocscore("pack", *words, "-o", out, "--max-bad", 1, cwd=source, locale=locale)
        assert out.is_dir()
        made[name] = {file.name: file.read_bytes() for file in out.iterdir()}
    assert made["ascii ö"] == made["unicode"]
    rejected = made["unicode"]["rejected.csv"].decode("utf-8")
    assert ("fehlt ü.jpg" in rejected) or ("ñ.jpg" in rejected)


def test_score_writes_the_names_as_they_are(source: Path, tmp_path: Path) -> None:
    """In an ASCII locale, the rows of a folder have its names, and the columns the classes'."""
    classes = ("chat", "vélo")
    run = make_run(tmp_path / "modèle", classes, backbone="squeezenet1_1", size=32)
    out = tmp_path / "prédictions.csv"
    words = ["score", "voc/JPEGImages", "-m", run, "-o", out, "--no-ceilings"]
    vocscore(*words, cwd=source, locale=ASCII)
    rows = out.read_text(encoding="utf-8").splitlines()
    assert rows[0] == "path,status,error,chat,vélo,labels"
    assert [row.split(",")[:2] for row in rows[1:]] == [[f"{stem}.jpg", "ok"] for stem in STEMS]


def test_what_is_printed_can_be_typed(source: Path, tmp_path: Path) -> None:
    """The next command names the accented folder in the terminal's bytes."""
    printed = vocscore(
        "pack", "voc", "-o", tmp_path / "ö", "--max-bad", 1, cwd=source, locale=ASCII
    )
    assert f"'{tmp_path / 'ö'}'".encode() in printed


@pytest.mark.parametrize("words", [["-X", "utf8=0"], ["-X", "utf8"], ["-I"], ["-E"]])
def test_the_process_starts_over_once_at_most(tmp_path: Path, words: list[str]) -> None:
    """Whatever Python was told of its UTF-8 mode, the program runs and does not go in circles.

    Where -X turned the mode off, it stays off.
    """
    code = (
        "import sys\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "from vocscore.cli.utf8 import in_utf8_mode\n"
        "in_utf8_mode()\n"
        "print(sys.getfilesystemencoding(), sys.argv[1:])\n"
    )
    done = subprocess.run(
        [sys.executable, *words, "-c", code, "a b", "-c"],
        env={**os.environ, **ASCII},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    encoding = "ascii" if "utf8=0" in words else "utf-8"
    assert done.stdout == f"{encoding} ['a b', '-c']\n"
