"""What a failed request is called, whatever the digits and words of its address."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from shards.errors import StorageError
from shards.remote import opening, pages, patience, store
from shards.remote.download import fetch
from vocscore.scoring.output.object_files import ObjectFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from s3_server import Bucket


@pytest.fixture(autouse=True)
def _few_tries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    pytest.importorskip("obstore")
    monkeypatch.setattr(opening, "RETRY", {**opening.RETRY, "max_retries": 0})
    opening.forget()
    yield
    opening.forget()


@contextmanager
def server(answer: Callable[[socket.socket], object]) -> Iterator[str]:
    """A server that does this to every connection; yields its address without a scheme."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def told(url: str) -> StorageError:
    """The error of reading it."""
    with pytest.raises(StorageError) as error:
        store.read(url)
    return error.value


def test_nobody_listens() -> None:
    """Neither '404' nor 'error 403' in a key is taken for the answer of a server."""
    for key in ("404/error_403.jpg", "error 403/x", "dns/lookup timed out"):
        error = told(f"http://127.0.0.1:1/{key}")
        assert "connection refused" in str(error)
        assert (error.passing, error.status) == (True, 0)


def test_a_connection_that_ends() -> None:
    """It may pass."""
    with server(lambda connection: connection.recv(1)) as address:
        error = told(f"http://{address}/500.jpg")
    assert "the connection breaks" in str(error)
    assert (error.passing, error.status) == (True, 0)


def test_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is silent for too long."""
    monkeypatch.setattr(opening, "_SECONDS", "200ms")
    with server(lambda connection: [connection.recv(1 << 16), connection.recv(1)]) as address:
        error = told(f"http://{address}/x.jpg")
    assert "no answer in time" in str(error)
    assert error.passing


def test_a_server_without_encryption() -> None:
    """The line asks about http://."""
    plain = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    with server(lambda connection: [connection.recv(1 << 16), connection.sendall(plain)]) as name:
        error = told(f"https://{name}/x.jpg")
    assert "http:// instead of https://" in str(error)


@pytest.mark.parametrize(
    ("status", "code", "line"),
    [
        (403, "RequestTimeTooSkewed", "Set its clock"),
        (400, "ExpiredToken", "the credentials have expired"),
        (400, "AuthorizationHeaderMalformed", "another region. Set AWS_REGION"),
        (301, "PermanentRedirect", "another region. Set AWS_REGION"),
        (403, "SignatureDoesNotMatch", "denied by 403 .SignatureDoesNotMatch."),
    ],
)
def test_answers_of_s3(storage: Bucket, status: int, code: str, line: str) -> None:
    """What is wrong is said, whatever was asked for, and is no missing image."""
    url = storage.put("k/1.jpg", b"1")
    storage.layer.add("refuse", status=status, code=code)

    def write() -> None:
        with store.writer(url) as file:
            file.write(b"2")

    for ask in (lambda: store.read(url), lambda: list(store.listing(storage.url("k"))), write):
        with pytest.raises(StorageError, match=line) as error:
            ask()
        assert not error.value.passing


def test_the_error_of_a_block_is_kept(storage: Bucket) -> None:
    """Also where the upload cannot be ended; nothing is visible."""

    def write() -> None:
        with store.writer(storage.url("k")) as file:
            for _ in range(4):
                file.write(bytes(16 << 20))
            storage.layer.add("refuse", status=503, methods=("DELETE",))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert storage.keys() == []


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two further tries, at once."""
    monkeypatch.setattr(patience, "PAUSES", (0.0, 0.0))


@pytest.mark.usefixtures("pauses")
def test_patience(storage: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tar, a listing that has begun, and a commit are tried again after the library gave up."""
    data = bytes(range(256)) * 40_000  # two ranges
    fault = storage.layer.add("refuse", keys="a.tar", times=2)
    assert fetch(storage.put("a.tar", data), tmp_path / "a.tar") == len(data)
    assert fault.done == 2
    assert (tmp_path / "a.tar").read_bytes() == data
    storage.layer.add("refuse", keys="plan", methods=("PUT",), times=2)
    files = ObjectFiles(storage.url("p.parts"))
    assert files.create("plan", b"1")
    storage.layer.add("refuse", keys="part", methods=("PUT",), times=1)
    files.put_file("part", BytesIO(b"12345"))
    assert files.read("part") == b"12345"
    monkeypatch.setattr(pages, "CHUNK", 1)
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "1")
    names = (entry.name for entry in store.listing(storage.url()))
    assert next(names) == "a.tar"
    storage.layer.add("refuse", keys=f"^/{storage.name}/?$", times=2)
    assert list(names) == ["p.parts/part", "p.parts/plan"]


def test_an_empty_image_before_keys_below_its_name(storage: Bucket) -> None:
    """'a.jpg' and 'a.jpg/b.jpg' are two objects; 'c.jpg/' is a folder of a console."""
    for key in ("a.jpg", "a.jpg/b.jpg", "c.jpg/", "c.jpg/d.jpg", "e/", "e/f.jpg"):
        storage.put(key)
    names = [entry.name for entry in store.listing(storage.url())]
    assert names == ["a.jpg", "a.jpg/b.jpg", "c.jpg/d.jpg", "e/f.jpg"]
    assert storage.layer.requests["HEAD"] == 2
