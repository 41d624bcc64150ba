"""Errors caused by data on disk, each with a one-line message for the user."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Error(Exception):
    """A known failure: `str()` is one line that says where, what, and how to fix it."""


class SourceError(Error):
    """An annotated set cannot be read as it is."""


class LabelError(Error):
    """A label does not fit the classes."""


class PackError(Error):
    """A set of shards cannot be written."""


class DamageError(Error):
    """A shard, an index or a manifest is missing, damaged or inconsistent."""


class StorageError(Error):
    """Object storage denies, refuses, cannot be reached, or has no such bucket.

    It stops a run, or a unit is tried again; it is never the fault of an image.

    Attributes:
        passing: whether the same request may succeed later.
        status: the storage's answer; 0 if there was none.
    """

    def __init__(self, message: str, *, passing: bool = False, status: int = 0) -> None:
        """Take the one line for the user."""
        super().__init__(message)
        self.passing = passing
        self.status = status

    def __reduce__(self) -> tuple[object, ...]:
        """Keep `passing` when sent between processes."""
        return _storage_error, (str(self), self.passing, self.status)


def _storage_error(message: str, passing: bool, status: int) -> StorageError:
    return StorageError(message, passing=passing, status=status)


class Reason(str, Enum):
    """Why an image, or its annotation, was refused. The codes are stable: filter by them."""

    EMPTY = "empty"
    """The file has no bytes."""
    VANISHED = "vanished"
    """The file was listed but no longer exists."""
    UNREADABLE = "unreadable"
    """The operating system could not read the bytes (permissions, input/output error)."""
    UNSUPPORTED = "unsupported"
    """Not an image, or an image in an unsupported format; the detail says what to do."""
    TRUNCATED = "truncated"
    """The image ends before it is complete."""
    CORRUPT = "corrupt"
    """The bytes are damaged: decoding fails or yields pixels that were never in the image."""
    TOO_LARGE = "too_large"
    """More pixels or bytes than the limit that protects memory, or than fit into memory."""
    MISSING = "missing"
    """An annotation or a list names an image that does not exist."""
    NOT_ANNOTATED = "not_annotated"
    """An image without an annotation."""
    BAD_ANNOTATION = "bad_annotation"
    """The annotation itself cannot be read or used."""

    def __str__(self) -> str:
        """The code as written to files."""
        return self.value


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one image, as a value: it is stored, compared and sent.

    Attributes:
        reason: the stable code.
        detail: one line for the user.
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
