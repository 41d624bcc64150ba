"""Compiled models that are kept for the next run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from vocscore.runtime import compile_cache
from vocscore.runtime.compile_cache import cache_key, folder, load_or_compile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for each test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder()


class Compiler:
    """Makes and loads text."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def get(self, name: str, text: str = "model") -> str:
        return load_or_compile(
            name,
            load=self.load,
            make=lambda: self.made.append(text) or text,
            dump=lambda value: value.encode(),
        )

    def load(self, blob: bytes) -> str:
        if blob == b"of another version":
            raise RuntimeError("mismatch")
        return blob.decode() + ", read"


def test_the_second_time_it_is_read() -> None:
    """What was made once is not made again."""
    compiler = Compiler()
    assert [compiler.get("a"), compiler.get("a")] == ["model", "model, read"]
    assert compiler.made == ["model"]


def test_damage_is_noticed(cache: Path) -> None:
    """A blob that is not what was written is made anew, and mended."""
    compiler = Compiler()
    compiler.get("a")
    (file,) = cache.glob("*.blob")
    file.write_bytes(file.read_bytes()[:-1] + b"L")
    assert [compiler.get("a"), compiler.get("a")] == ["model", "model, read"]


def test_a_blob_of_another_version_is_made_anew() -> None:
    """What cannot be loaded counts as not kept."""
    compiler = Compiler()
    compiler.get("a", "of another version")
    assert compiler.get("a", "new") == "new"
    assert compiler.get("a") == "new, read"


def test_nothing_is_lost_where_nothing_can_be_kept(cache: Path) -> None:
    """A cache folder that cannot be written (here: a file is in its place) costs nothing else."""
    cache.parent.mkdir(parents=True)
    cache.write_text("in the way")
    compiler = Compiler()
    assert [compiler.get("a"), compiler.get("a")] == ["model", "model"]


def test_the_least_recently_used_go(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than the most are kept; what was read lately stays."""
    monkeypatch.setattr(compile_cache, "MOST_KEPT", 3)
    compiler = Compiler()
    for second, name in enumerate("abc"):
        compiler.get(name)
        os.utime(cache / f"{name}.blob", (second, second))
    compiler.get("a")  # read, and so the latest
    compiler.get("d")
    assert sorted(file.stem for file in cache.glob("*.blob")) == ["a", "c", "d"]


def test_keys_tell_facts_apart() -> None:
    """Equal facts in another order have one key; other facts have another."""
    assert cache_key({"a": 1, "b": 2}) == cache_key({"b": 2, "a": 1})
    assert cache_key({"a": 1, "b": 2}) != cache_key({"a": 1, "b": 3})
