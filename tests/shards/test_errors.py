from __future__ import annotations

import pickle

import pytest

from shards.errors import BadImage, Fault, Reason

CUT = Fault(Reason.TRUNCATED, "ends at byte 7")


def test_a_fault_travels_between_processes() -> None:
    """Pickled and back it is equal; its text has the code and the line."""
    assert pickle.loads(pickle.dumps(CUT)) == CUT
    assert str(CUT) == "truncated: ends at byte 7"


def test_a_bad_image_travels_between_processes() -> None:
    """Raised in a worker, it arrives with its fault and its line."""
    with pytest.raises(BadImage) as caught:
        raise BadImage(CUT)
    bad = pickle.loads(pickle.dumps(caught.value))
    assert bad.fault == CUT
    assert str(bad) == "truncated: ends at byte 7"
