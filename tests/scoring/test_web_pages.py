"""A page of a web server is no source: not one image, not a tar, not a list of its lines."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import pytest
from web_server import web_server

from shards.errors import StorageError
from vocscore.scoring.inputs.sources import read_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = b"<!DOCTYPE html>\n<html><title>Log in</title>\n<form>\n</form></html>\n"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_args: Any) -> None:
        """Log nothing."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the folder of the test."""
    pytest.importorskip("obstore")
    with web_server(partial(_Quiet, directory=str(tmp_path))) as found:
        yield found


@pytest.mark.parametrize("name", ["a.tar", "list.txt", "a.jpg"])
def test_a_page_in_place_of_a_source(address: str, tmp_path: Path, name: str) -> None:
    """A login would otherwise be a tar without images, or a list of images that are not there."""
    (tmp_path / name).write_bytes(PAGE)
    with pytest.raises(StorageError, match=rf"{name}: the server answers with a web page") as error:
        read_source(f"{address}/{name}")
    assert not error.value.passing


def test_a_tar_that_becomes_a_page(address: str, tmp_path: Path) -> None:
    """A login that has expired since the tar was listed stops its unit, which gets no row."""
    (tmp_path / "a.tar").write_bytes(bytes(10240))
    (unit,) = read_source(f"{address}/a.tar").units(1)
    (tmp_path / "a.tar").write_bytes(PAGE)
    with pytest.raises(StorageError, match="a web page"):
        unit.read()


def test_a_page_on_the_disk_is_what_it_was(tmp_path: Path) -> None:
    """Only a server answers with pages that nobody has asked for; a list may begin with '<html'."""
    (tmp_path / "list.txt").write_bytes(b"<html\n")
    inputs = read_source(tmp_path / "list.txt")
    assert [ref.name for unit in inputs.units(10) for ref in unit.read().images] == ["<html"]
