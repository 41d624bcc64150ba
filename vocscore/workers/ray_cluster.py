"""Connects to a Ray cluster, or starts one on this machine and ends it.

Nothing is left to Ray's search for a cluster: `ray.init` without an address would join whatever
runs on the machine. Authentication stays as it is: Ray's own default, or the cluster's.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vocscore.errors import OptionError
from vocscore.machine import usable_cores
from vocscore.workers.shares import Node

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS_TO_CONNECT = 5.0
_OBJECT_BYTES = 512 * 2**20
"""Memory of a cluster of our own for results on their way; those of a unit are some megabytes."""
_TOKEN = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


class RayCluster:
    """A connection to a cluster; close it.

    Args:
        on: 'ray' for the cluster of RAY_ADDRESS, or without it one of this machine alone;
            'ray://HOST:PORT' for Ray's client; 'HOST:PORT' for a cluster that this machine is in.

    Raises:
        OptionError: Ray is not installed, no cluster answers, or it does not fit.
    """

    def __init__(self, on: str) -> None:
        """Connect, or start a cluster."""
        os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")  # read when Ray is imported
        try:
            import ray
        except ImportError as error:
            raise OptionError(
                f"`on={on!r}`: Ray is not installed. Install it: pip install 'vocscore[ray]'"
            ) from error
        self._folder: Path | None = None
        self._own_token = False
        self._ours = not ray.is_initialized()  # a Python program may have connected before
        if not self._ours:
            return
        address = on if on != "ray" else os.environ.get("RAY_ADDRESS") or "local"
        try:
            with _signals_kept():
                if address == "local":
                    self._start()
                else:
                    _connect(address)
        except BaseException:
            self.close()
            raise

    def nodes(self) -> list[Node]:
        """The machines that are there now."""
        import ray

        found = (node["Resources"] for node in ray.nodes() if node["Alive"])
        return [Node(int(one.get("CPU", 0)), float(one.get("GPU", 0))) for one in found]

    def close(self) -> None:
        """Disconnect, and end a cluster of our own."""
        if not self._ours:
            return
        import ray

        with _signals_kept():
            ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._own_token:
            os.environ.pop("RAY_AUTH_TOKEN_PATH", None)

    def _start(self) -> None:
        """Start a cluster of this machine; its files and its token stay out of the home."""
        self._folder = Path(tempfile.mkdtemp(prefix="vocscore-ray-"))  # for this user only
        if not any(name in os.environ for name in _TOKEN):
            token = self._folder / "token"
            token.write_text(secrets.token_hex(32))
            os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
            self._own_token = True
        _init(
            "local",
            num_cpus=usable_cores(),
            include_dashboard=False,
            object_store_memory=_OBJECT_BYTES,
            _temp_dir=str(self._folder),
        )


def _connect(address: str) -> None:
    """Connect to a cluster that is there.

    Raises:
        OptionError: nobody answers; without the look at its port, Ray would try for two minutes.
    """
    place = address.removeprefix("ray://")
    host, _, port = place.rpartition(":")
    if address != "auto":
        try:
            number = int(port)
            socket.create_connection((host.strip("[]"), number), _SECONDS_TO_CONNECT).close()
        except (OSError, ValueError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise OptionError(
                f"`on={address!r}`: no Ray cluster answers there ({reason}). Name HOST:PORT of the "
                "head node (usually port 6379) on a machine of the cluster, or ray://HOST:PORT "
                "(usually port 10001) from elsewhere."
            ) from error
    _init(address)


def _init(address: str, **options: Any) -> None:
    import ray

    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        given = "ray" if address == "local" else address
        line = " ".join(str(error).split())[:500]
        raise OptionError(f"`on={given!r}`: Ray does not connect: {line}") from error


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep the handlers of signals: Ray sets its own, which ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            with suppress(TypeError):  # not set from Python
                signal.signal(one, handler)
