"""The commit of units among several processes on object storage whose answers are lost."""

from __future__ import annotations

import random
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from vocscore.scoring.inputs.units import LooseFiles
from vocscore.scoring.jobs.stores import open_store
from vocscore.scoring.output.ledger import Ledger
from vocscore.scoring.output.mirrored import mirrored
from vocscore.scoring.output.unit_record import UnitRecord

if TYPE_CHECKING:
    from pathlib import Path

    from s3_server import Bucket

    from vocscore.scoring.output.mark_store import MarkStore

UNITS = 10


def begun(output: Path) -> tuple[Ledger, MarkStore]:
    """A process of the run."""
    store = open_store(output)
    ledger = Ledger(store)
    with ExitStack() as held:
        store.hold(held)
        if store.plan() is None:
            store.run.freeze(LooseFiles("/in", ["a.jpg"]))
        ledger.begin({"parts": "marks"}, overwrite=False, discard=False)
    return ledger, store


def commit(ledger: Ledger, number: int, more: str = "") -> None:
    """Commit a unit of one row."""
    data = f"{number} {more}\n".encode()
    ledger.commit(number, UnitRecord(1), lambda file: file.write(data))


def test_overlap_lost_answers_and_unequal_bytes_give_each_row_once(storage: Bucket) -> None:
    """Every mark is answered by 503 though it was written, and 3 workers score the same units."""
    output = mirrored(storage.url("out.csv"))
    begun(output)
    storage.layer.add("lose", keys=r"/mark-", methods=("PUT",), times=UNITS)
    others: list[int] = []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        ledger, store = begun(output)
        for number in chance.sample(range(UNITS), UNITS):
            commit(ledger, number, "other" if chance.random() < 0.3 else "")
        others.extend(store.others)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    ledger, store = begun(output)
    assert store.committed() == set(range(UNITS))
    assert set(store.different()) == set(others)
    ledger.merge(UNITS, lambda file, parts: [file.write(part.read_bytes()) for part in parts])
    rows = storage.get("out.csv").decode().splitlines()
    assert [int(row.split()[0]) for row in rows] == list(range(UNITS))
    assert storage.keys() == ["out.csv"]


def test_ones_own_mark_is_not_another_process(storage: Bucket) -> None:
    """The repeated request is refused by the mark that the first one made: it is committed."""
    output = mirrored(storage.url("out.csv"))
    ledger, store = begun(output)
    fault = storage.layer.add("lose", keys=r"/mark-", methods=("PUT",), times=3)
    for number in range(3):
        commit(ledger, number, "mine")
    assert fault.done == 3
    assert not store.others
    assert store.committed() == {0, 1, 2}
