"""Turns off the telemetry and unasked requests of the libraries that this package loads.

Importing any part of `vocscore` does it, before a library is loaded: in the command line, in a
Python program, and in worker processes, which import it first and inherit the environment.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SWITCHES = {
    # Read by several libraries, including huggingface_hub.
    "DO_NOT_TRACK": "1",
    # https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # Privacy.md in its wheel. In C++, on by default in the official wheels for Linux: it would
    # also keep an identifier of the machine and a database in the user's cache.
    "ORT_DISABLE_TELEMETRY": "1",
    # https://docs.ray.io/en/latest/cluster/usage-stats.html
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Variables that libraries read; a value that the user has set is kept."""

INTEL = "openvino_telemetry"
"""The package through which OpenVINO and NNCF report. It forks the process for each event, writes
to ~/intel, and can be turned off only by a file in the user's home."""


REPORTS = ("init", "start_session", "send_event", "send_error", "send_stack_trace", "end_session")
"""The reporting methods of its class `Telemetry`."""


def settle() -> None:
    """Turn the telemetry of every library off, loaded or not."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
    # As if it were not installed: OpenVINO and NNCF then use their own stubs.
    loaded = sys.modules.setdefault(INTEL, None)  # type: ignore[arg-type]
    # Already loaded modules must be disabled separately.
    for name in REPORTS:
        if hasattr(loaded, "Telemetry"):
            setattr(loaded.Telemetry, name, _nothing)
    getattr(sys.modules.get("onnxruntime"), "disable_telemetry_events", _nothing)()


@contextmanager
def hub_closed() -> Iterator[None]:
    """Let huggingface_hub, which timm loads, make no request inside the block.

    As HF_HUB_OFFLINE=1 does, which is read only once. It applies to all threads of the process.
    """
    try:
        from huggingface_hub import constants
    except ImportError:  # timm installs it; without it there is nothing to close
        yield
        return
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _nothing(*_args: Any, **_extra: Any) -> None:
    """Send nothing."""
