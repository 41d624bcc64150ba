"""Making raw images: the whole file is looked at, and the memory is claimed."""

from __future__ import annotations

import numpy as np
import pytest
from kinds import encoded, photo

from shards.errors import BadImage
from shards.images import memory
from shards.images.budget import Budget
from vocscore.pipeline import batching, raw_maker
from vocscore.pipeline.host import decode_into
from vocscore.pipeline.preprocess import Preprocess
from vocscore.pipeline.raw import form_of
from vocscore.pipeline.raw_maker import HostRawMaker

MANY = 10**8
SMALL = Preprocess(size=16)


def test_damage_that_scoring_does_not_look_at_is_found() -> None:
    """Bytes behind the last scan of a progressive JPEG, which a decode at 1/8 leaves out."""
    whole = encoded(photo(400, 300), "JPEG", progressive=True, quality=90)
    damaged = whole[:-2] + bytes(40) + whole[-2:]
    maker = HostRawMaker(form_of(SMALL), MANY)
    loaded = batching.empty_images(1, SMALL.size)
    decode_into(loaded[0], damaged, preprocess=SMALL, max_pixels=MANY)
    np.testing.assert_array_equal(maker(whole), loaded[0].permute(1, 2, 0).numpy())
    with pytest.raises(BadImage):
        maker(damaged)


def test_memory_of_what_is_made_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pixels and its file, which for a small original are most of what packing takes."""
    claimed: list[int] = []
    budget = Budget(1 << 40)
    monkeypatch.setattr(budget, "claim", claimed.append)
    monkeypatch.setattr(raw_maker, "PIXELS", budget)
    maker = HostRawMaker(form_of(Preprocess(size=512)), MANY)
    small = encoded(photo(9, 9), "PNG")
    pixels = memory.spared(lambda: maker(small))
    assert sum(claimed) >= 2 * pixels.nbytes
