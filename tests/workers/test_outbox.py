"""What a worker says, and when."""

from __future__ import annotations

import threading
import time

from vocscore.workers.messages import Done, Partial, Ready
from vocscore.workers.outbox import Outbox


def test_results_come_at_once_with_the_last_progress_before_them():
    """Of an item's progress only the last is sent."""
    box = Outbox()
    box.put(Ready("loader"))
    assert box.take() == [Ready("loader")]
    for step in range(3):
        box.put(Partial(7, step))
    box.put(Partial(8, 0))
    box.put(Done(7, "rows"))
    began = time.monotonic()
    assert box.take() == [Partial(7, 2), Partial(8, 0), Done(7, "rows")]
    assert time.monotonic() - began < 0.5


def test_progress_alone_waits_for_more():
    """A thousand workers would otherwise send every batch by itself."""
    box = Outbox()
    box.put(Partial(1, "half"))
    later = threading.Timer(0.2, lambda: box.put(Partial(1, "more")))
    later.start()
    assert box.take() == [Partial(1, "more")]
    later.join()
