"""Nothing that this package loads reports to anybody: the telemetry of its libraries is off.

Importing any part of `vocscore` settles it, before a library is loaded: in the command line, in a
Python program, and in worker processes, which import it first and inherit the environment.
"""

from __future__ import annotations

import os
import sys
from typing import Any

SWITCHES = {
    # Asked by several libraries, huggingface_hub among them.
    "DO_NOT_TRACK": "1",
    # https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # Privacy.md in its wheel. From C++, on by default in the official wheels for Linux: it would
    # also keep an identifier of the machine and a database in the user's cache.
    "ORT_DISABLE_TELEMETRY": "1",
    # https://docs.ray.io/en/latest/cluster/usage-stats.html
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""What libraries read from the environment; a value that the user has set stays."""

INTEL = "openvino_telemetry"
"""The package through which OpenVINO and NNCF report. It forks the process for each event, writes
to ~/intel, and has no switch but a file in the user's home."""


REPORTS = ("init", "start_session", "send_event", "send_error", "send_stack_trace", "end_session")
"""What its class `Telemetry` can be told."""


def settle() -> None:
    """Turn the telemetry of every library off, loaded or not."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
    # As if it were not installed: OpenVINO and NNCF then use stand-ins of their own.
    loaded = sys.modules.setdefault(INTEL, None)  # type: ignore[arg-type]
    # What a program has loaded before must be told otherwise.
    for name in REPORTS:
        if hasattr(loaded, "Telemetry"):
            setattr(loaded.Telemetry, name, _nothing)
    getattr(sys.modules.get("onnxruntime"), "disable_telemetry_events", _nothing)()


def _nothing(*_args: Any, **_extra: Any) -> None:
    """Send nothing."""
