"""Merges the parts below a URL as one upload of several pieces, to be killed meanwhile."""

from __future__ import annotations

import sys
from contextlib import ExitStack

from shards.remote import store as storage
from vocscore.scoring.jobs.stores import open_store
from vocscore.scoring.output.ledger import Ledger
from vocscore.scoring.output.mirrored import mirrored, refresh

PIECE = 5 << 20
"""Bytes; S3 takes no smaller ones."""


def merge(url: str, *, units: int) -> None:
    """Write the output."""
    output = mirrored(url)
    refresh(output)
    store = open_store(output)
    with ExitStack() as held:
        store.publisher.hold(held)
        assert store.plan() is not None
        ledger = Ledger(store)
        ledger.records = store.records()
        ledger.merge(units, join)


def join(file, parts) -> None:
    """Join rows as CSV's format does."""
    for part in parts:
        file.write(part.read_bytes())


if __name__ == "__main__":
    storage._PART_BYTES = PIECE
    merge(sys.argv[1], units=int(sys.argv[2]))
