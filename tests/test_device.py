"""The name of a device as one value."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import pytest

from vocscore.device import CPU, PRECISIONS, Device, parse_precision
from vocscore.errors import DeviceError


@pytest.mark.parametrize(
    ("name", "kind", "index", "is_gpu"),
    [
        ("auto", "auto", None, False),
        ("cpu", "cpu", None, False),
        ("cuda", "cuda", None, True),
        ("cuda:0", "cuda", 0, True),
        ("cuda:12", "cuda", 12, True),
    ],
)
def test_a_name_is_read_and_given_back(
    name: str, kind: str, index: int | None, is_gpu: bool
) -> None:
    """`str` gives the text that plans, records and configs have held so far."""
    device = Device.parse(name)
    assert (device.kind, device.index, device.is_gpu, str(device)) == (kind, index, is_gpu, name)
    assert Device.parse(device) is device
    assert pickle.loads(pickle.dumps(device)) == device
    assert json.dumps({"device": str(device)}) == json.dumps({"device": name})


@pytest.mark.parametrize(
    "name", ["", "gpu", "CPU", "cpu:0", "auto:1", "cuda:", "cuda:-1", "cuda:x", "cuda:²", "cuda:٣"]
)
def test_other_names_are_refused(name: str) -> None:
    """The line holds the name and those that are understood."""
    with pytest.raises(DeviceError) as caught:
        Device.parse(name)
    assert str(caught.value) == f"device {name!r} is not one of auto, cpu, cuda, cuda:N."


def test_equal_devices_are_one() -> None:
    """They can be compared, and be keys."""
    assert {CPU, Device.parse("cpu"), Device("cuda", 1), Device.parse("cuda:1")} == {
        CPU,
        Device("cuda", 1),
    }


def test_an_unknown_precision_is_refused() -> None:
    """It is not taken for one of those that are known."""
    assert [parse_precision(name) for name in PRECISIONS] == ["float32", "bf16", "int8"]
    with pytest.raises(DeviceError, match="precision 'fp16' is not one of float32, bf16, int8"):
        parse_precision("fp16")


def test_neither_needs_torch() -> None:
    """Names are checked before torch is loaded."""
    code = "import sys, vocscore.device, vocscore.machine; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
