"""Serves the page on this machine."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from vocscore.errors import ViewError
from vocscore.view.security import LOOPBACK, Access, Guard

if TYPE_CHECKING:
    from collections.abc import Iterator

    import uvicorn
    from typing_extensions import Self

    from vocscore.view.session import Subject

PORT: Final = 8765
"""The first port that is tried."""
_TRIED: Final = 50
_FREE_OF_NAMES: Final = ("127.0.0.1", "localhost", "::1")


def bind(host: str, port: int | None) -> socket.socket:
    """Take a port.

    Args:
        host: of an interface of this machine.
        port: the port; None: the first free one from `PORT` on.

    Raises:
        ViewError: it is in use, or the host is not one of this machine.
    """
    last = OSError()
    for tried in (port,) if port is not None else range(PORT, PORT + _TRIED):
        found = _try(host, tried)
        if isinstance(found, socket.socket):
            return found
        last = found
        if isinstance(last, socket.gaierror) or last.errno not in _IN_USE:
            break
    what = "the port" if port is not None else f"a port from {PORT} to {PORT + _TRIED - 1}"
    where = f"{host}:{port}" if port is not None else host
    raise ViewError(
        f"{where}: {what} cannot be used ({str(last.strerror).lower()}). Choose another one with "
        "`port`, or another `host`."
    ) from last


_IN_USE: Final = (errno.EADDRINUSE, errno.EACCES)


def _try(host: str, port: int) -> socket.socket | OSError:
    try:
        return _bound(host, port)
    except OSError as error:
        return error


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(128)
    except OSError:
        made.close()
        raise
    return made


class PageServer:
    """The page, served in a thread of this process until it is closed.

    A process has one at a time, because NiceGUI has one page.

    Attributes:
        access: who may see it.
        address: to be opened in a browser; it has the token.
    """

    address: str
    _open: PageServer | None = None
    _lock: Final = threading.Lock()

    def __init__(
        self, subjects: tuple[Subject, ...], *, host: str = "127.0.0.1", port: int | None = None
    ) -> None:
        """Take the port and start.

        Args:
            subjects: what is shown.
            host: interface to listen on.
            port: the port; None: the first free one.

        Raises:
            ViewError: NiceGUI is not installed, the port cannot be used, or another page of this
                process is open.
        """
        require_nicegui()
        with PageServer._lock:
            if PageServer._open is not None:
                raise ViewError(
                    f"this process shows {PageServer._open.address} already. Close that page "
                    "first: view.close()."
                )
            self._socket = bind(host, port)
            PageServer._open = self
        self.subjects = subjects
        number = self._socket.getsockname()[1]
        self.access = Access(number, LOOPBACK if host in _FREE_OF_NAMES else None)
        shown = f"[{host}]" if ":" in host else host
        if host in ("0.0.0.0", "::"):  # noqa: S104 - the user asked for it
            shown = socket.gethostname()
        self.address = self.access.address(shown)
        self._ready = threading.Event()
        self._server: uvicorn.Server | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise ViewError(f"the page cannot be served: {self._failure}") from self._failure

    def _run(self) -> None:
        try:
            # or NiceGUI would keep its storage in a folder `.nicegui` of the working folder
            os.environ.setdefault("NICEGUI_STORAGE_PATH", os.devnull)
            from vocscore.view.page import application

            self._server = _server(Guard(application(self.subjects), self.access), self._ready)
            asyncio.run(self._server.serve(sockets=[self._socket]))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._failure = error
        finally:
            self._ready.set()
            self._socket.close()
            PageServer._open = None

    def wait(self) -> None:
        """Wait until the page is closed, or interrupted with Ctrl-C."""
        while self._thread.is_alive():
            self._thread.join(0.2)

    def close(self) -> None:
        """Stop serving; open tabs say that the connection is lost."""
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(10)
        for subject in self.subjects:
            subject.thumbnails.close()

    def __enter__(self) -> Self:
        """Serve for as long as the block runs."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close it."""
        self.close()


def _server(app: Any, ready: threading.Event) -> uvicorn.Server:
    """Make a server that leaves signals to the main thread, and says nothing."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready.set()

    config = uvicorn.Config(
        app,
        ws="wsproto",
        log_level="critical",  # NiceGUI reports a tab that leaves early as an error
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
    )
    return Server(config)


def has_display() -> bool:
    """Whether a browser can be shown; one in the terminal would take it over."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def require_nicegui() -> None:
    """Check that the page can be served.

    Raises:
        ViewError: NiceGUI is not installed.
    """
    from importlib.util import find_spec

    if find_spec("nicegui") is None:
        raise ViewError(
            "the page needs NiceGUI, which is not installed. Run: pip install 'vocscore[view]'"
        )
