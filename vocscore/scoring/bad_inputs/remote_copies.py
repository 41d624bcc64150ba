"""A quarantine on object storage: uploaded when its table is written."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from shards.files import open_binary
from shards.remote import places, store

_THREADS: Final = 8


def is_free(url: str, *, mark: str, data: bytes) -> bool:
    """Whether a prefix is empty, or has the mark of the same run.

    Args:
        url: of the prefix.
        mark: name of the mark.
        data: its contents.

    Raises:
        StorageError: the storage does not tell.
    """
    store.check(url)
    if next(store.listing(url), None) is None:
        return True
    try:
        return store.read(places.join(url, mark)) == data
    except FileNotFoundError:
        return False


def upload(folder: Path, url: str) -> None:
    """Upload the files of a folder, and remove it.

    Raises:
        StorageError: they cannot be uploaded; the folder stays.
    """
    root = Path(os.fspath(folder))
    files = [file for file in sorted(root.rglob("*")) if file.is_file()]

    def upload_one(file: Path) -> None:
        name = file.relative_to(root).as_posix()
        with open_binary(file) as opened, store.writer(places.join(url, name)) as target:
            shutil.copyfileobj(opened, target, 1 << 20)

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="vocscore-upload") as pool:
        list(pool.map(upload_one, files))
    shutil.rmtree(root, ignore_errors=True)
