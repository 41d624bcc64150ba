"""Paths as users and tables write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from shards.paths import is_image, relative_path, shown


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a.jpg", "a.jpg"),
        ("./x//a.jpg", "x/a.jpg"),
        ("x\\y\\a.jpg", "x/y/a.jpg"),
        ("x/../a.jpg", "a.jpg"),
        ("..a.jpg", "..a.jpg"),
        (" a.jpg ", " a.jpg "),
        ("ä/\udcff.jpg", "ä/\udcff.jpg"),
    ],
)
def test_relative(tmp_path: Path, text: str, path: str) -> None:
    """Separators and dots are put in order; nothing else of a name changes."""
    assert relative_path(text, tmp_path) == path


@pytest.mark.parametrize("text", ["", "  ", ".", "..", "../a.jpg", "x/../../a.jpg", "/etc/passwd"])
def test_outside(tmp_path: Path, text: str) -> None:
    """A path that is blank or leads out of the root is none."""
    assert relative_path(text, tmp_path) is None


def test_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An absolute path in the root counts, however the root is written: relative or by a link."""
    real = tmp_path / "real"
    real.mkdir()
    link = tmp_path / "link"
    link.symlink_to(real)
    monkeypatch.chdir(tmp_path)
    for root in (real, link, Path("real"), Path("link")):
        assert relative_path(str(real / "x" / "a.jpg"), root) == "x/a.jpg"
    assert relative_path(str(link / "a.jpg"), link) == "a.jpg"
    assert relative_path(str(real / ".." / "a.jpg"), real) is None
    assert relative_path(str(tmp_path / "realm" / "a.jpg"), real) is None


def test_is_image() -> None:
    """An image is known by its suffix in any case; hidden files are none."""
    assert all(map(is_image, ["a.jpg", "a.b.JPEG", "a.Png", "ä .webp"]))
    assert not any(map(is_image, [".a.jpg", ".jpg", "Thumbs.db", "jpg", "a.xml", "a.jpg.txt"]))


def test_shown() -> None:
    """A name stands as it is where it is one line of text, else escaped."""
    assert shown("ä b.jpg") == "ä b.jpg"
    assert shown("a\nb\udcff") == "'a\\nb\\udcff'"
