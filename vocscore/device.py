"""Devices and precisions, as values that need no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from vocscore.errors import DeviceError

Kind = Literal["auto", "cpu", "cuda"]
_KINDS: Final[tuple[Kind, ...]] = ("auto", "cpu", "cuda")

Precision = Literal["float32", "bf16", "int8"]
"""The precision of a network's arithmetic."""

PRECISIONS: Final[tuple[Precision, ...]] = ("float32", "bf16", "int8")


@dataclass(frozen=True, slots=True)
class Device:
    """A device by name; `str()` returns the name.

    Attributes:
        kind: 'auto' means the first GPU, or the CPU if there is none.
        index: the number of the GPU; None if unspecified.
    """

    kind: Kind
    index: int | None = None

    @classmethod
    def parse(cls, name: str | Device) -> Device:
        """Parse the name of a device; only torch can tell whether it exists (`find_device`).

        Args:
            name: 'auto', 'cpu', 'cuda' or 'cuda:N'; a `Device` is returned unchanged.

        Raises:
            DeviceError: the name is none of these.
        """
        if isinstance(name, Device):
            return name
        for kind in _KINDS:
            if name == kind:
                return cls(kind)
        prefix, _, number = name.partition(":")
        if prefix == "cuda" and number.isascii() and number.isdigit():
            return cls("cuda", int(number))
        raise DeviceError(f"device {name!r} is not one of auto, cpu, cuda, cuda:N.")

    @property
    def is_gpu(self) -> bool:
        """Whether it is certainly a GPU; False for 'auto'."""
        return self.kind == "cuda"

    def __str__(self) -> str:
        """'auto', 'cpu', 'cuda' or 'cuda:N'."""
        return self.kind if self.index is None else f"{self.kind}:{self.index}"


CPU: Final = Device("cpu")


def parse_precision(name: str) -> Precision:
    """Parse the name of a precision.

    Raises:
        DeviceError: it is unknown.
    """
    for precision in PRECISIONS:
        if name == precision:
            return precision
    raise DeviceError(f"precision {name!r} is not one of {', '.join(PRECISIONS)}.")
