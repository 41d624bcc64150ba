"""`hf://`: pinned to a commit, listed by the hub, read from its files."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from shards.errors import StorageError
from shards.remote import hub, opening, store

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"README.md": b"read me", "data/a b.tar": b"0123456789", "data/c.jpg": b"jpg"}


class _Hub(BaseHTTPRequestHandler):
    """Answers for one repository, 'datasets/org/set', as the hub does."""

    seen: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("authorization")))
        path = self.path.partition("?")[0]
        api = "/api/datasets/org/set"
        if path.startswith(f"{api}/revision/"):
            name = path.rpartition("/")[2]
            if name not in ("main", "v1"):
                return self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            info = {"id": "org/set", "sha": COMMIT, "siblings": []}
            return self._answer(200, json.dumps(info).encode())
        if path == api:
            info = {"id": "org/set", "sha": COMMIT, "siblings": []}
            return self._answer(200, json.dumps(info).encode())
        if path.startswith(f"{api}/tree/{COMMIT}"):
            below = path.removeprefix(f"{api}/tree/{COMMIT}").strip("/")
            return self._answer(200, json.dumps(_tree(below)).encode())
        if path.startswith(f"/datasets/org/set/resolve/{COMMIT}/"):
            name = path.removeprefix(f"/datasets/org/set/resolve/{COMMIT}/").replace("%20", " ")
            if name in FILES:
                return self._file(FILES[name])
        return self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _file(self, data: bytes) -> None:
        spec = self.headers.get("range")
        if spec is None:
            return self._answer(200, data)
        first, _, last = spec.removeprefix("bytes=").partition("-")
        end = min(int(last or len(data)), len(data) - 1)
        part = data[int(first) : end + 1]
        return self._answer(206, part, {"Content-Range": f"bytes {first}-{end}/{len(data)}"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"ETag": '"e"', **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Log nothing."""


def _tree(below: str) -> list[dict[str, Any]]:
    start = f"{below}/" if below else ""
    return [
        {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
        for name, data in FILES.items()
        if name.startswith(start)
    ]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str | None]]]:
    """A hub on loopback; yields the paths that it was asked for, with the token."""
    constants = pytest.importorskip("huggingface_hub.constants")
    pytest.importorskip("obstore")
    handler = type("Hub", (_Hub,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setenv("HF_TOKEN", "hf_of-the-test")
    hub._looked_up.cache_clear()
    opening.forget()
    yield handler.seen
    server.shutdown()
    server.server_close()
    thread.join()
    hub._looked_up.cache_clear()
    opening.forget()


def test_files(seen: list[tuple[str, str | None]]) -> None:
    """Files are listed below the path, and read in ranges, with the token."""
    url = store.pinned("hf://datasets/org/set/data")
    assert url == f"hf://datasets/org/set@{COMMIT}/data"
    assert [(one.name, one.size) for one in store.listing(url)] == [("a b.tar", 10), ("c.jpg", 3)]
    assert store.read(f"{url}/a b.tar", 2, 3) == b"234"
    assert store.head(f"{url}/c.jpg") == store.Entry("c.jpg", 3, "0" * 40)
    assert store.head(f"{url}/no.jpg") is None
    with pytest.raises(FileNotFoundError):
        store.read(f"{url}/no.jpg")
    assert {token for _, token in seen} == {"Bearer hf_of-the-test"}
    assert sum("revision" in path or path.endswith("/org/set") for path, _ in seen) == 1


def test_revision(seen: list[tuple[str, str | None]]) -> None:
    """A revision is named behind an '@'; one that does not exist is one line."""
    assert store.pinned("hf://datasets/org/set@v1") == f"hf://datasets/org/set@{COMMIT}"
    with pytest.raises(StorageError, match="no such revision"):
        store.check("hf://datasets/org/set@v9")


def test_no_such_repository(seen: list[tuple[str, str | None]]) -> None:
    """A mistyped or private repository is one line that names the token; nothing is written."""
    with pytest.raises(StorageError, match="HF_TOKEN"):
        store.check("hf://datasets/org/other")
    with pytest.raises(StorageError, match="can be written"):
        store.put("hf://datasets/org/set/x", b"")


@pytest.mark.parametrize(
    ("module", "url", "extra"),
    [
        ("obstore", "s3://bucket/key", "vocscore[remote]"),
        ("huggingface_hub", "hf://datasets/org/set/x", "vocscore[hf]"),
    ],
)
def test_without_extras(monkeypatch: pytest.MonkeyPatch, module: str, url: str, extra: str) -> None:
    """What is not installed is named with the command that installs it."""
    opening.forget()
    loaded = [name for name in sys.modules if name.partition(".")[0] == module]
    for name in [module, *loaded]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(StorageError) as error:
        store.read(url)
    assert f"pip install '{extra}'" in str(error.value)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "junk"])
def test_a_hub_that_is_not_reached(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """One line, whatever the library's client raises."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    hub._looked_up.cache_clear()
    with pytest.raises(StorageError, match="the hub cannot be reached") as error:
        store.check("hf://datasets/org/set")
    assert error.value.passing
