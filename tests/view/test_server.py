"""The server: ports, its command, its end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from settling import expect

pytest.importorskip("nicegui", reason="needs NiceGUI: pip install 'vocscore[view]'")
from vocscore.errors import ViewError
from vocscore.view.server import PageServer, bind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Shown, Visitor

ROOT = Path(__file__).parents[2]


@pytest.fixture
def taken() -> Iterator[int]:
    """A port in use."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        yield held.getsockname()[1]


def start(*words: str | Path, cwd: Path) -> subprocess.Popen[str]:
    """Start `vocscore view`."""
    return subprocess.Popen(
        [sys.executable, "-m", "vocscore", "view", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "DISPLAY": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell's background jobs, and all that they start, are deaf to Ctrl-C
        preexec_fn=listen,  # noqa: PLW1509 - no thread of the tests holds a lock
    )


def listen() -> None:
    """Hear Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_port_in_use_is_said(taken: int) -> None:
    """In one line with the cure."""
    with pytest.raises(ViewError, match=rf"127\.0\.0\.1:{taken}: .*in use.*`port`"):
        bind("127.0.0.1", taken)


def test_the_next_port_is_taken(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    """Where none was asked for."""
    monkeypatch.setattr("vocscore.view.server.PORT", taken)
    with bind("127.0.0.1", None) as found:
        assert taken < found.getsockname()[1] < taken + 50


@pytest.mark.parametrize("host", ["192.0.2.1", "nothing.invalid"])
def test_other_machines_hosts_are_refused(host: str) -> None:
    """With the address that cannot be listened on."""
    with pytest.raises(ViewError, match=rf"{re.escape(host)}: .*`host`"):
        bind(host, None)


def test_a_process_has_one_page(shown: Shown) -> None:
    """A second one is refused until the first is closed; then the port is free again."""
    with PageServer(shown.open()) as first:
        port = first.access.port
        with pytest.raises(ViewError, match=r"close\(\)"):
            PageServer(shown.open())
    with PageServer(shown.open(), port=port) as again:
        assert again.access.port == port
        assert again.access.token != first.access.token


def test_the_command_prints_the_address_alone(shown: Shown, tmp_path: Path) -> None:
    """At once and alone; Ctrl-C ends it promptly, and nothing is left or written elsewhere."""
    with start(shown.predictions, cwd=tmp_path) as page:
        assert page.stdout is not None
        address = page.stdout.readline()
        found = re.fullmatch(r"http://127\.0\.0\.1:\d+/open\?token=[\w-]{32}\n", address)
        assert found
        assert not Path(f"/proc/{page.pid}/task/{page.pid}/children").read_text()
        page.send_signal(signal.SIGINT)
        try:
            rest, errors = page.communicate(timeout=30)
        finally:
            page.kill()
    assert page.returncode == 130
    assert rest == ""
    *notes, last = errors.splitlines()
    assert last == "Interrupted. The page is closed."
    assert all("is in use" in note for note in notes)  # the port, by another page
    assert not list(tmp_path.iterdir())


def test_a_page_without_nicegui_is_refused(shown: Shown, tmp_path: Path) -> None:
    """With the command that installs it."""
    program = (
        "import sys; sys.modules['nicegui'] = None; from vocscore.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "view", shown.predictions],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "pip install 'vocscore[view]'" in done.stderr


def test_a_page_whose_server_has_ended_says_so(shown: Shown, visitor: Visitor) -> None:
    """What it shows stays."""
    with PageServer(shown.open()) as served:
        page = visitor.open(served, "/class/3")
        expect(page.locator(".counts .figure")).to_have_count(8)
    page.get_by_text("Connection lost").wait_for()
    expect(page.locator(".counts .figure")).to_have_count(8)
