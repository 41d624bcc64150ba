"""The failures that bytes on disk can cause, each with one line to show a person."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Error(Exception):
    """A known failure: `str()` is one line that says where, what, and the cure."""


class SourceError(Error):
    """An annotated set cannot be read as it stands."""


class LabelError(Error):
    """A label does not fit the classes."""


class PackError(Error):
    """A set of shards cannot be written."""


class DamageError(Error):
    """A shard, an index or a manifest is not what it should be."""


class Reason(str, Enum):
    """Why an image, or its annotation, was refused. The codes are stable: filter by them."""

    EMPTY = "empty"
    """The file has no bytes."""
    VANISHED = "vanished"
    """The file was listed and is gone."""
    UNREADABLE = "unreadable"
    """The operating system would not hand over the bytes (permissions, input/output error)."""
    UNSUPPORTED = "unsupported"
    """Not an image, or an image of a kind that is not decoded here; the detail says what to do."""
    TRUNCATED = "truncated"
    """The image ends before it is complete."""
    CORRUPT = "corrupt"
    """The bytes are damaged: decoding them fails or gives pixels that were never in the image."""
    TOO_LARGE = "too_large"
    """More pixels or bytes than the limit that guards memory, or than memory holds."""
    MISSING = "missing"
    """An annotation or a list names an image that is not there."""
    NOT_ANNOTATED = "not_annotated"
    """An image without an annotation."""
    BAD_ANNOTATION = "bad_annotation"
    """The annotation itself cannot be read."""

    def __str__(self) -> str:
        """The code as it stands in files."""
        return self.value


class Fault(NamedTuple):
    """What is wrong with one image, as a value.

    Attributes:
        reason: the stable code.
        detail: one line for a person.
    """

    reason: Reason
    detail: str


class BadImage(Error):  # noqa: N818 - an image is bad; that is the fact
    """One image cannot be used. The rest of the set goes on.

    Attributes:
        reason: the stable code.
        detail: one line for a person.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        """Keep the code and the line apart, so that tables can show both."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[BadImage], tuple[Reason, str]]:
        """Let it travel between processes: an exception pickles its text, which is not enough."""
        return type(self), (self.reason, self.detail)
