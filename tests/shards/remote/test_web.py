"""Web servers with odd manners: what can be read is read, the rest is one line."""

from __future__ import annotations

from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import pytest
from web_server import web_server

from shards.errors import StorageError
from shards.remote import patience, store, unsized
from shards.remote.download import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = bytes(range(256)) * 50_000  # more than one range
PAGE = b"<?xml version='1.0'?>\n<!-- by a proxy -->\n<!DOCTYPE html>\n<title>Log in</title>"


class _Odd(BaseHTTPRequestHandler):
    """The first part of a path is what is odd."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._send(405, b"")

    def do_GET(self) -> None:
        odd = self.path.split("/")[1]
        moved = f"http://localhost:{self.server.server_address[1]}/ranges/x"
        to = {"file": "file:///etc/passwd", "loop": self.path, "moved": moved}
        if odd in to:
            self._send(302, b"", Location=to[odd])
        elif odd == "gone":
            self._send(404, b"<html>")
        elif odd in {"chunked", "breaks", "unending"}:
            self._chunks(odd)
        elif odd == "closes":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(DATA)
            self.close_connection = True
        elif odd == "login":
            self._send(200, PAGE)
        else:
            self._part(odd, b"" if odd == "empty" else DATA)

    def _chunks(self, odd: str) -> None:
        """Say no length; the answer is whole, breaks off after its half, or does not end."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("ETag", '"e"')
        self.end_headers()
        middle, start = len(DATA) // 2, 0
        with suppress(OSError):  # no more is read than is needed
            while start < len(DATA):
                end = middle if start < middle else len(DATA)
                self.wfile.write(b"%x\r\n%b\r\n" % (end - start, DATA[start:end]))
                start = 0 if odd == "unending" and end == len(DATA) else end
                if odd == "breaks":
                    break
            else:
                self.wfile.write(b"0\r\n\r\n")
                return
        self.close_connection = True

    def _part(self, odd: str, data: bytes) -> None:
        spec = self.headers.get("range")
        if odd == "plain" or spec is None:
            return self._send(200, data)
        first, _, last = spec.removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last) + 1]
        if not part:
            return self._send(416, b"")
        end = int(first) + len(part) - 1
        return self._send(206, part, **{"Content-Range": f"bytes {first}-{end}/{len(data)}"})

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"ETag": '"e"', **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:  # no more is read than is needed
            self.close_connection = True

    def log_message(self, *_args: Any) -> None:
        """Log nothing."""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the server."""
    pytest.importorskip("obstore")
    monkeypatch.setattr(patience, "PAUSES", ())
    with web_server(_Odd) as found:
        yield found


@pytest.mark.parametrize("odd", ["ranges", "plain", "moved", "chunked"])
def test_a_server_without_ranges_or_head(address: str, odd: str, tmp_path: Path) -> None:
    """As `python -m http.server`: size, beginning, middle and whole file are had by GET."""
    url = f"{address}/{odd}/x.tar"
    store.check(url)
    entry = store.head(url)
    assert entry is not None
    assert (entry.size, entry.etag) == (len(DATA), '"e"')
    assert store.read(url, 0, 500) == DATA[:500]
    assert store.read(url, 1000, 500) == DATA[1000:1500]
    assert store.read(url) == DATA
    assert fetch(url, tmp_path / "x.tar") == len(DATA)
    assert (tmp_path / "x.tar").read_bytes() == DATA


def test_nothing_there(address: str, tmp_path: Path) -> None:
    """A missing file is missing; one without bytes has none."""
    assert store.head(f"{address}/gone/x") is None
    assert store.head(f"{address}/empty/x") == store.Entry("x", 0, None)
    assert store.read(f"{address}/empty/x", 0, 100) == b""
    assert fetch(f"{address}/empty/x", tmp_path / "x") == 0


@pytest.mark.parametrize(
    ("odd", "line"),
    [
        ("file", "answers 302"),
        ("loop", "redirects are not followed"),
        ("closes", "neither how long it is .* Download it"),
    ],
)
def test_what_is_not_read(address: str, odd: str, line: str) -> None:
    """Neither a local file nor a guess; trying again would not help."""
    with pytest.raises(StorageError, match=line) as error:
        store.read(f"{address}/{odd}/x")
    assert not error.value.passing


def test_an_answer_that_breaks_off(address: str, tmp_path: Path) -> None:
    """Half of a file is not taken for all of it, although nobody has said how long it is."""
    for act in (
        lambda: store.read(f"{address}/breaks/x.jpg"),
        lambda: store.head(f"{address}/breaks/x.tar"),
        lambda: fetch(f"{address}/breaks/x.tar", tmp_path / "x"),
    ):
        with pytest.raises(StorageError, match="the connection breaks") as error:
            act()
        assert error.value.passing
    assert not list(tmp_path.iterdir())


def test_an_answer_without_end(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that does not end is given up, and fills neither the disk nor the memory."""
    monkeypatch.setattr(unsized, "MOST_BYTES", 3 * len(DATA))
    with pytest.raises(StorageError, match="does not end within"):
        fetch(f"{address}/unending/x.tar", tmp_path / "x")
    assert not list(tmp_path.iterdir())
    assert store.read(f"{address}/unending/x.tar", 10, 500) == DATA[10:510]


def test_the_size_is_known_before_the_bytes_are_taken(address: str) -> None:
    """As for other files, `look` may refuse an image by its size."""
    sizes: list[int] = []
    assert store.read(f"{address}/chunked/x.jpg", look=sizes.append) == DATA
    assert sizes == [len(DATA)]


def test_a_page_in_place_of_a_file(address: str, tmp_path: Path) -> None:
    """A login is no tar, no list and no model: one line, and nothing is left."""
    with pytest.raises(StorageError, match="a web page, perhaps for a login"):
        fetch(f"{address}/login/x.tar", tmp_path / "x.tar")
    assert not list(tmp_path.iterdir())
