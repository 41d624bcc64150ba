"""The failures that bytes on disk can cause, each with one line to show a person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


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


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one image, as a value: it is stored, compared and sent.

    Attributes:
        reason: the stable code.
        detail: one line for a person.
    """

    reason: Reason
    detail: str

    def __str__(self) -> str:
        """Both, as they stand in the `error` column of predictions."""
        return f"{self.reason}: {self.detail}"


class BadImage(Error):  # noqa: N818 - an image is bad; that is the fact
    """One image cannot be used; the rest of the set goes on. Raised only: `fault` is what to keep.

    Attributes:
        fault: what is wrong with it.
    """

    def __init__(self, fault: Fault) -> None:
        """Take the fault; its text is the exception's."""
        super().__init__(fault)
        self.fault = fault
