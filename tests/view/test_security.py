"""Only the person who started the page can see it."""

from __future__ import annotations

import base64
import http.client
import socket
from typing import TYPE_CHECKING

import pytest

from vocscore.view.security import Access

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vocscore.view.server import PageServer
PAGES = ("/", "/gallery", "/class/0", "/show/0/0", "/bad-inputs")
IMAGE = "/image/0/0/96"
SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
POLLING = "/_nicegui_ws/socket.io/?EIO=4&transport=polling"
EVERYTHING = (*PAGES, IMAGE, POLLING, "/_nicegui/3.18.0/static/nicegui.js", "/nothing")


def host(served: PageServer) -> str:
    return f"127.0.0.1:{served.access.port}"


def cookie(served: PageServer) -> dict[str, str]:
    return {"Cookie": f"{served.access.cookie}={served.access.token}"}


def ask(
    served: PageServer, target: str, headers: Mapping[str, str], method: str = "GET"
) -> tuple[int, dict[str, str], bytes]:
    """Send a request with these headers and no others but Host; the target is not changed."""
    connection = http.client.HTTPConnection("127.0.0.1", served.access.port, timeout=10)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": host(served), **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, named, answer.read()
    finally:
        connection.close()


def upgrade(served: PageServer, headers: Mapping[str, str]) -> int:
    """Ask for a websocket; the status of the answer."""
    key = base64.b64encode(b"0123456789abcdef").decode()
    lines = {
        "Host": host(served),
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
        **headers,
    }
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with socket.create_connection(("127.0.0.1", served.access.port), timeout=10) as made:
        made.sendall(f"GET {SOCKET} HTTP/1.1\r\n{text}\r\n".encode())
        return int(made.recv(64).split()[1])


@pytest.mark.parametrize("target", EVERYTHING)
def test_nothing_is_shown_without_the_cookie(page_server: PageServer, target: str) -> None:
    """Pages, images, scripts and the socket's first request are refused with the reason."""
    for headers in (
        {},
        {"Cookie": f"{page_server.access.cookie}=wrong"},
        {"Cookie": f"{page_server.access.cookie}="},
        {"Cookie": f"vocscore={page_server.access.token}"},
        {"Cookie": "\xff;=,"},
        {"Authorization": f"Bearer {page_server.access.token}"},
    ):
        status, _, body = ask(page_server, target, headers)
        assert status == 403
        assert b"vocscore view" in body
    status, _, _ = ask(page_server, f"{target}?token={page_server.access.token}", {})
    assert status == 403


@pytest.mark.parametrize("target", [*EVERYTHING, "/open"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Host": "127.0.0.1.evil.example:{port}"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost:{port}"},
    ],
)
def test_other_hosts_and_origins_are_refused(
    page_server: PageServer, target: str, wrong: dict[str, str]
) -> None:
    """Even with the cookie; another name of this machine is another origin."""
    told = {name: text.format(port=page_server.access.port) for name, text in wrong.items()}
    status, _, _ = ask(page_server, target, {**cookie(page_server), **told})
    assert status == 421
    assert upgrade(page_server, {**cookie(page_server), **told}) == 403


def test_websockets_need_the_cookie(page_server: PageServer) -> None:
    """Without it, or with another, they are closed before they are accepted."""
    assert upgrade(page_server, {}) == 403
    assert upgrade(page_server, {"Cookie": f"{page_server.access.cookie}=wrong"}) == 403
    assert upgrade(page_server, cookie(page_server)) == 101
    own = {"Origin": f"http://{host(page_server)}"}
    assert upgrade(page_server, {**cookie(page_server), **own}) == 101


def test_the_token_becomes_a_cookie(page_server: PageServer) -> None:
    """That scripts cannot read, and that other sites cannot make a browser send."""
    path = page_server.address.partition(host(page_server))[2]
    status, headers, body = ask(page_server, path, {})
    assert status == 200
    name, *attributes = headers["set-cookie"].split("; ")
    assert name == cookie(page_server)["Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} == set(attributes)
    assert page_server.access.token.encode() not in body
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    for wrong in ("/open", "/open?token=", "/open?token=%ff", "/open?token=%c3%a9&token=x"):
        status, headers, _ = ask(page_server, wrong, {})
        assert status == 403
        assert "set-cookie" not in headers


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("target", EVERYTHING)
def test_headers_are_strict(page_server: PageServer, target: str, given: bool) -> None:
    """On every answer, refusals and errors included; nothing may be loaded from elsewhere."""
    _, headers, _ = ask(page_server, target, cookie(page_server) if given else {})
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["object-src"] == policy["form-action"] == "'none'"
    assert not [name for name, value in policy.items() if "http" in value or "*" in value]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "target",
    [
        "/../../../etc/passwd",
        "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/image/0/../../../../etc/passwd",
        "/image/0/..%2f..%2f..%2fetc%2fpasswd/96",
        "/image/0//etc/passwd",
        "/_nicegui/3.18.0/static/../../../../../../../etc/passwd",
        "/_nicegui/3.18.0/static/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd",
        "/_nicegui/3.18.0/static//etc/passwd",
        "/_nicegui/3.18.0/resources/x/..%2f..%2f..%2f..%2fetc/passwd",
        "/show/0/..%2f..%2fetc%2fpasswd",
        "/class/..%2f..%2fetc%2fpasswd",
    ],
)
def test_no_path_from_a_client_is_opened(page_server: PageServer, target: str) -> None:
    """Whatever it says, no file of this machine is in the answer."""
    status, _, body = ask(page_server, target, cookie(page_server))
    assert b"root:" not in body
    assert status in (200, 404, 422, 500)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (IMAGE, 200),
        ("/image/0/53/384", 200),
        ("/image/0/54/384", 404),
        ("/image/0/-1/384", 404),
        ("/image/1/0/384", 404),
        ("/image/-1/0/384", 404),
        ("/image/0/0/100000", 404),
        ("/image/0/1e1/384", 422),
        ("/image/0/99999999999999999999999/384", 404),
    ],
)
def test_images_are_asked_by_the_number_of_a_row(
    page_server: PageServer, target: str, status: int
) -> None:
    """Numbers of other rows, runs and sizes have no image."""
    assert ask(page_server, target, cookie(page_server))[0] == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_requests_only_read(page_server: PageServer, method: str) -> None:
    """Pages and images, and what NiceGUI has for uploads."""
    for target in (*PAGES, IMAGE, "/_nicegui/client/x/upload/1"):
        assert ask(page_server, target, cookie(page_server), method)[0] == 405


def test_tokens_differ_and_are_not_printed() -> None:
    """24 random bytes each; a representation in a traceback does not have them."""
    one, two = Access(8765), Access(8765)
    assert one.token != two.token
    assert len(base64.urlsafe_b64decode(one.token)) == 24
    assert one.token not in repr(one)


def test_other_interfaces_are_addressed_by_any_name() -> None:
    """The names of this machine elsewhere are unknown; the token and the origin still count."""
    access = Access(80, hosts=None)
    assert access.host_is_ours("machine.example:80")
    assert not access.host_is_ours("")
