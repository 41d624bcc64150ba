"""What a failed request is called, whatever the digits and words of its address."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from shards.errors import StorageError
from shards.remote import opening, store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
