"""Device names as text, for callers that keep them as text."""

from __future__ import annotations

from vocscore.device import Device


def resolve_device(name: str) -> str:
    """Turn the requested device into one that exists.

    Args:
        name: 'auto' (the first GPU, or the CPU if there is none), 'cpu', 'cuda' or 'cuda:N'.

    Returns:
        'cpu' or 'cuda:N'.

    Raises:
        DeviceError: the name is none of these, or no such GPU is visible.
    """
    wanted = Device.parse(name)
    if wanted.kind == "cpu":
        return name
    from vocscore.pipeline.devices import find_device

    return str(find_device(wanted))
