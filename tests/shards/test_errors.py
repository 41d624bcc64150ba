from __future__ import annotations

import pickle

from shards.errors import BadImage, Reason


def test_a_bad_image_travels_between_processes() -> None:
    """Pickled and back, reason, detail and line are the same."""
    bad = pickle.loads(pickle.dumps(BadImage(Reason.TRUNCATED, "ends at byte 7")))
    assert (bad.reason, bad.detail) == (Reason.TRUNCATED, "ends at byte 7")
    assert str(bad) == "truncated: ends at byte 7"
