"""Caches compiled models on disk: compiling takes seconds, loading a fraction of a second."""

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
"""Number of cached models; the least recently used are removed. AlexNet's takes 230 MB."""
_SUFFIX = ".blob"
_DIGEST_BYTES = 32


def folder() -> Path | None:
    """Return the folder of the cache; None if this user has no cache folder."""
    base = caches.folder()
    return None if base is None else base / "compiled"


def cache_key(facts: dict[str, Any]) -> str:
    """Hash everything that a compiled model depends on."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def load_or_compile(
    name: str,
    *,
    load: Callable[[bytes], Any],
    make: Callable[[], Any],
    dump: Callable[[Any], bytes],
    suffix: str = _SUFFIX,
) -> Any:
    """Load the model that an earlier run has cached under a name, or compile and cache it.

    If the cache cannot be written (no home folder, a read-only one, a full disk), the model is
    compiled and returned anyway.

    Args:
        name: as returned by `cache_key`.
        load: makes the model from bytes; raises RuntimeError if they are for another machine.
        make: compiles the model.
        dump: returns the bytes for `load`.
        suffix: of the file; the files of each suffix are counted by themselves.
    """
    base = folder()
    if base is None:
        return make()
    file = base / f"{name}{suffix}"
    blob = _read(file)
    if blob is not None:
        with suppress(RuntimeError):
            return load(blob)
    made = make()
    with suppress(OSError):
        _write(file, dump(made))
    return made


def _read(file: Path) -> bytes | None:
    """Read a blob; None if it is missing or damaged."""
    try:
        data = read_regular(file)
        os.utime(file)  # its last use
    except OSError:
        return None
    digest, blob = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    return blob if hashlib.sha256(blob).digest() == digest else None


def _write(file: Path, blob: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = file.parent / ".lock"
    with atomic.exclusive(lock):
        atomic.write(file, hashlib.sha256(blob).digest() + blob)
        every = sorted(file.parent.glob(f"*{file.suffix}"), key=lambda f: f.stat().st_mtime)
        for old in every[:-MOST_KEPT]:
            old.unlink(missing_ok=True)
