"""Compiled models, kept for the next run: making one takes seconds, reading one a fraction."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from shards import atomic
from shards.files import read_regular
from vocscore import caches

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOST_KEPT = 8
"""The least recently used go first; AlexNet's takes 230 MB."""
_SUFFIX = ".blob"
_DIGEST_BYTES = 32


def folder() -> Path | None:
    """Where they lie; None where this user has no cache."""
    base = caches.folder()
    return None if base is None else base / "compiled"


def key(facts: dict[str, Any]) -> str:
    """A name for everything that a compiled model depends on."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def kept(
    name: str,
    *,
    load: Callable[[bytes], Any],
    make: Callable[[], Any],
    dump: Callable[[Any], bytes],
) -> Any:
    """Read what an earlier run has kept under a name, or make it and keep it.

    That nothing can be kept (no home, a read-only one, a full disk) costs the next run some
    seconds, and this one nothing.

    Args:
        name: as `key` gives it.
        load: makes the model from bytes; RuntimeError where it cannot.
        make: makes it from nothing.
        dump: the bytes for `load`.
    """
    base = folder()
    if base is None:
        return make()
    file = base / f"{name}{_SUFFIX}"
    blob = _read(file)
    if blob is not None:
        with suppress(RuntimeError):
            return load(blob)
    made = make()
    with suppress(OSError):
        _write(file, dump(made))
    return made


def _read(file: Path) -> bytes | None:
    """The blob, if it is whole."""
    try:
        data = read_regular(file)
        os.utime(file)  # it was used
    except OSError:
        return None
    digest, blob = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    return blob if hashlib.sha256(blob).digest() == digest else None


def _write(file: Path, blob: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = file.parent / ".lock"
    with atomic.exclusive(lock):
        atomic.write(file, hashlib.sha256(blob).digest() + blob)
        every = sorted(file.parent.glob(f"*{_SUFFIX}"), key=lambda f: f.stat().st_mtime)
        for old in every[:-MOST_KEPT]:
            old.unlink(missing_ok=True)
