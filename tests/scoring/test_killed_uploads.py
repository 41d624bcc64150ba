"""A merge to object storage that is killed during its upload shows nothing, and is repeated."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import merging_upload
import pytest

from vocscore.scoring.inputs.units import LooseFiles
from vocscore.scoring.jobs.stores import open_store
from vocscore.scoring.output.ledger import Ledger
from vocscore.scoring.output.mirrored import mirrored
from vocscore.scoring.output.unit_record import UnitRecord

if TYPE_CHECKING:
    from s3_server import Bucket

UNITS = 2
ROWS = [bytes([65 + number]) * (6 << 20) for number in range(UNITS)]
BEGUN = r"^POST /.*/out\.csv\?uploads="
PIECE = r"^PUT /.*/out\.csv\?.*partNumber=2"
COMPLETED = r"^POST /.*/out\.csv\?uploadId="


def commit_all(url: str) -> None:
    """Commit every unit of a run, as jobs do."""
    store = open_store(mirrored(url))
    ledger = Ledger(store)
    with ExitStack() as held:
        store.hold(held)
        store.run.freeze(LooseFiles("/in", [f"{number}.jpg" for number in range(UNITS)]))
        ledger.begin({"parts": "marks"}, overwrite=False, discard=False)
    for number, rows in enumerate(ROWS):
        ledger.commit(number, UnitRecord(1), lambda file, rows=rows: file.write(rows))


@pytest.mark.parametrize(
    ("request_of_death", "lost", "visible"),
    [(BEGUN, 0, False), (PIECE, 0, False), (COMPLETED, 0, False), (COMPLETED, 1, True)],
    ids=["begun", "piece", "before_completion", "after_completion"],
)
def test_a_killed_upload(
    storage: Bucket, request_of_death: str, lost: int, *, visible: bool
) -> None:
    """Nothing or everything is there, the parts stay, and the next merge writes the same bytes.

    In the last case the storage has completed the upload, but its answer was lost.
    """
    url = storage.url("out.csv")
    commit_all(url)
    met: list[str] = []
    running: list[subprocess.Popen[bytes]] = []

    def watch(request: str) -> None:
        if re.search(PIECE, request) and lost:  # of the next request, which completes
            storage.layer.add("lose", keys=r"/out\.csv$", methods=("POST",), times=lost)
        if re.search(request_of_death, request):
            met.append(request)
            if len(met) > lost:
                os.kill(running[0].pid, signal.SIGKILL)
                raise ConnectionError("who has asked is dead")

    storage.layer.watch = watch
    program = Path(__file__).with_name("merging_upload.py")
    words = [sys.executable, str(program), url, str(UNITS)]
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    running.append(subprocess.Popen(words, env={**os.environ, "PYTHONPATH": path}))
    assert running[0].wait(timeout=120) == -signal.SIGKILL
    keys = storage.keys()
    assert ("out.csv" in keys) is visible
    if visible:
        assert storage.get("out.csv") == b"".join(ROWS)
    assert len([key for key in keys if "/mark-" in key]) == UNITS

    storage.layer.reset()
    merging_upload.merge(url, units=UNITS)
    assert storage.get("out.csv") == b"".join(ROWS)
    assert storage.keys() == ["out.csv"]
