"""How a model in ONNX takes an image: what its file does not say, and the card keeps.

Reading it imports neither onnx nor torch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

BACKBONE = "onnx"
"""The backbone's name on the card of a run whose network is an ONNX file."""
LAYOUTS = ("NCHW", "NHWC")
WHOLE = ("uint8", "int16", "uint16", "int32", "int64")
"""Types of an input that takes pixels from 0 to 255."""
TYPES = (*WHOLE, "float16", "float32", "float64")


@dataclass(frozen=True, slots=True)
class OnnxSignature:
    """The input and the output of a model in ONNX.

    Attributes:
        input: name of the input; a batch of images, RGB.
        layout: 'NCHW' or 'NHWC'.
        type: of the input's elements: a whole-number type takes pixels from 0 to 255, a float
            takes them normalized by the card's preprocessing.
        output: name of the output, one value per class.
        batch: images per call, if the model takes no other number; None: any number.
    """

    input: str
    layout: str
    type: str
    output: str
    batch: int | None = None

    def __post_init__(self) -> None:
        """Refuse invalid values.

        Raises:
            ValueError: a name is missing, or a value is not one of those above.
        """
        for name in (self.input, self.output):
            if not isinstance(name, str) or not name:
                raise ValueError(f"an ONNX model's input and output must be names, got {name!r}")
        if self.layout not in LAYOUTS:
            raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {self.layout!r}")
        if self.type not in TYPES:
            raise ValueError(f"type must be one of {', '.join(TYPES)}, got {self.type!r}")
        whole = type(self.batch) is int and self.batch >= 1
        if self.batch is not None and not whole:
            raise ValueError(f"batch must be a whole number above 0, got {self.batch!r}")

    @property
    def takes_bytes(self) -> bool:
        """Whether the model takes pixels from 0 to 255 and normalizes them itself."""
        return self.type in WHOLE

    def shape(self, images: int, size: int) -> list[int]:
        """The input's shape for a number of square images."""
        return [images, 3, size, size] if self.layout == "NCHW" else [images, size, size, 3]

    def to_json(self) -> dict[str, Any]:
        """Return plain values; a batch of any number has no key."""
        found = asdict(self)
        if self.batch is None:
            del found["batch"]
        return found

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> OnnxSignature:
        """Create a signature from the output of `to_json`; unknown keys are ignored.

        Raises:
            KeyError, TypeError, ValueError: a value is missing or invalid.
        """
        if not isinstance(value, dict):
            raise TypeError(f"onnx must be an object, got {value!r}")
        return cls(
            input=value["input"],
            layout=value["layout"],
            type=value["type"],
            output=value["output"],
            batch=value.get("batch"),
        )
