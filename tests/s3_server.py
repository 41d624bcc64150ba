"""An S3 server on loopback with faults on request, for tests of object storage.

moto answers (real conditions, real listings); a layer in front of it counts requests, delays them,
refuses them, loses answers and cuts bodies. The fixture `storage` in tests/conftest.py opens it.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

VARIABLES = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
    "AWS_REGION": "us-east-1",
}


@dataclass
class Fault:
    """What is done to some requests.

    Attributes:
        kind: 'refuse' (the status, without doing anything), 'lose' (done, but answered by the
            status) or 'cut' (the body ends in its middle).
        keys: a pattern searched in the path of a request.
        methods: of the requests.
        status: of the answer.
        code: of S3 in the answer; '': what the status usually has.
        times: so many requests; -1: all.
        done: so many were met so far.
    """

    kind: str
    keys: str = ""
    methods: tuple[str, ...] = ("GET", "HEAD", "PUT", "POST", "DELETE")
    status: int = 503
    code: str = ""
    times: int = -1
    done: int = 0


class FaultLayer:
    """A WSGI application in front of another one.

    Attributes:
        faults: the first that fits a request is done to it.
        latency: seconds before each request is answered.
        requests: method -> number of requests.
        log: 'METHOD PATH' of each request, in order.
        authorizations: of the requests.
        at_once: the largest number of requests under way at the same time.
        watch: is called with 'METHOD PATH?QUERY' before each request is answered; if it raises, the
            request is not done.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._lock = threading.Lock()
        self._under_way = 0
        self.reset()

    def reset(self) -> None:
        """Drop faults and counters."""
        self.faults: list[Fault] = []
        self.latency = 0.0
        self.requests: Counter[str] = Counter()
        self.log: list[str] = []
        self.authorizations: list[str] = []
        self.at_once = 0
        self.watch: Callable[[str], None] = lambda _request: None

    def add(self, kind: str, **how: Any) -> Fault:
        """Add a fault; the arguments are its attributes."""
        fault = Fault(kind, **how)
        self.faults.append(fault)
        return fault

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        with self._lock:
            self.requests[method] += 1
            self.log.append(f"{method} {path}")
            self.authorizations.append(environ.get("HTTP_AUTHORIZATION", ""))
            fault = self._fault(method, path)
            self._under_way += 1
            self.at_once = max(self.at_once, self._under_way)
        try:
            self.watch(f"{method} {path}?{environ['QUERY_STRING']}")
            if self.latency:
                time.sleep(self.latency)
            return self._answer(fault, environ, start_response)
        finally:
            with self._lock:
                self._under_way -= 1

    def _answer(
        self, fault: Fault | None, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        if fault is None:
            return self._application(environ, start_response)
        if fault.kind == "refuse":
            if length := int(environ.get("CONTENT_LENGTH") or 0):
                environ["wsgi.input"].read(length)
            return _refusal(fault, start_response)
        if fault.kind == "lose":
            b"".join(self._application(environ, lambda *_args: lambda _data: None))
            return _refusal(fault, start_response)
        body = b"".join(self._application(environ, start_response))
        return _cut(body)

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            fits = method in fault.methods and re.search(fault.keys, path)
            if fits and fault.times != fault.done:
                fault.done += 1
                return fault
        return None


def _refusal(fault: Fault, start_response: Any) -> Iterable[bytes]:
    status, usual = fault.status, {503: "SlowDown", 403: "AccessDenied", 401: "AccessDenied"}
    code = fault.code or usual.get(status, "Other")
    body = f"<Error><Code>{code}</Code></Error>".encode()
    start_response(f"{status} {code}", [("Content-Length", str(len(body)))])
    return [body]


def _cut(body: bytes) -> Iterator[bytes]:
    yield body[: len(body) // 2]
    raise ConnectionError("the test cuts this answer")


class _Handler(WSGIRequestHandler):
    """Without a log. The connection stays open, as that of real storage."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Log nothing."""

    def log_error(self, *args: Any) -> None:
        """Log nothing: the errors are those that tests make."""


@dataclass
class Server:
    """The server.

    Attributes:
        url: its address.
        layer: its faults and counters.
        client: boto3's, past the faults.
    """

    url: str
    layer: FaultLayer
    client: Any


@contextmanager
def s3_server() -> Iterator[Server]:
    """Run a server on loopback in threads of this process."""
    import boto3
    from moto.server import DomainDispatcherApplication, create_backend_app

    layer = FaultLayer(DomainDispatcherApplication(create_backend_app))
    direct = make_server(
        "127.0.0.1", 0, layer._application, threaded=True, request_handler=_Handler
    )
    server = make_server("127.0.0.1", 0, layer, threaded=True, request_handler=_Handler)
    threads = [
        threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        for one in (server, direct)
    ]
    for thread in threads:
        thread.start()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{direct.server_port}",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )
    try:
        yield Server(f"http://127.0.0.1:{server.server_port}", layer, client)
    finally:
        client.close()
        for one, thread in zip((server, direct), threads, strict=True):
            one.shutdown()
            one.server_close()
            thread.join()


@dataclass
class Bucket:
    """An empty bucket of the server; the environment has its address and credentials.

    Attributes:
        name: of the bucket.
        server: the server.
    """

    name: str
    server: Server

    @property
    def layer(self) -> FaultLayer:
        """Faults and counters."""
        return self.server.layer

    def url(self, key: str = "") -> str:
        """Return the URL of a key, or of the bucket."""
        return f"s3://{self.name}/{key}" if key else f"s3://{self.name}"

    def put(self, key: str, data: bytes = b"", **how: str) -> str:
        """Write an object past the faults; return its URL."""
        self.server.client.put_object(Bucket=self.name, Key=key, Body=data, **how)
        return self.url(key)

    def put_tree(self, folder: Any, below: str = "") -> str:
        """Write the files of a folder; return the URL of the prefix."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                name = file.relative_to(folder).as_posix()
                self.put(f"{below}/{name}" if below else name, file.read_bytes())
        return self.url(below)

    def get(self, key: str) -> bytes:
        """Read an object past the faults."""
        return bytes(self.server.client.get_object(Bucket=self.name, Key=key)["Body"].read())

    def keys(self) -> list[str]:
        """All keys."""
        pages = self.server.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def uploads(self) -> list[str]:
        """Keys of multipart uploads that were begun and neither completed nor aborted."""
        found = self.server.client.list_multipart_uploads(Bucket=self.name)
        return [item["Key"] for item in found.get("Uploads", ())]
