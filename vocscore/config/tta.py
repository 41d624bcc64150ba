"""Test-time augmentation: the views of an image whose logits are averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vocscore.config.model import MAX_SIZE
from vocscore.errors import OptionError

_FORM: Final = "'flip', 'size=PIXELS' or 'flip,size=PIXELS'"


@dataclass(frozen=True, slots=True)
class Tta:
    """Which views of an image are scored: as it is and mirrored, in the model's size and another.

    Attributes:
        flip: whether each size is also scored mirrored.
        size: another height and width, pixels, in addition to the model's; None: only the model's.
    """

    flip: bool = False
    size: int | None = None

    def __str__(self) -> str:
        """Return the option as it is typed, with its parts in a fixed order."""
        parts = ["flip"] if self.flip else []
        return ",".join(parts if self.size is None else [*parts, f"size={self.size}"])

    def sizes(self, own: int) -> tuple[int, ...]:
        """Return the sizes of the views.

        Args:
            own: the model's size, pixels.

        Raises:
            OptionError: the other size is the model's own, whose views would count twice.
        """
        if self.size is None:
            return (own,)
        if self.size == own:
            raise OptionError(
                f"`tta={str(self)!r}`: {own} pixels is the size that the model has anyway. Name "
                "another size, or omit it."
            )
        return own, self.size

    def passes(self, own: int) -> int:
        """Return the number of forward passes per image."""
        return len(self.sizes(own)) * (2 if self.flip else 1)

    def cost(self, own: int) -> str:
        """Describe what the views cost, for the user.

        Args:
            own: the model's size, pixels.

        Raises:
            OptionError: as for `sizes`.
        """
        number = self.passes(own)
        text = f"{number} forward passes per image"
        if self.size is None:
            return text
        each = 2 if self.flip else 1
        times = each * (1 + (self.size / own) ** 2)
        return f"{text}, {each} of them at {self.size} pixels; about {times:.1f} times the time"


def sizes_of(tta: Tta | None, own: int) -> tuple[int, ...]:
    """Return the sizes of the views, the model's own first; only this one if there are no views.

    Raises:
        OptionError: as for `Tta.sizes`.
    """
    return (own,) if tta is None else tta.sizes(own)


def parse_tta(text: str) -> Tta:
    """Parse the option, in any order of its parts.

    Raises:
        OptionError: it is not of the form, or a size is out of range.
    """
    found: dict[str, int] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        known = part.strip() == "flip" or (name == "size" and value.isascii() and value.isdigit())
        if not known or name in found:
            raise OptionError(f"`tta` is {text!r}, but must be {_FORM}.")
        found[name] = int(value[:9]) if value else 1
    size = found.get("size")
    if size is not None and not 1 <= size <= MAX_SIZE:
        raise OptionError(f"`tta` is {text!r}: a size must be 1 to {MAX_SIZE} pixels.")
    return Tta(flip="flip" in found, size=size)
