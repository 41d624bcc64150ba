"""What decides DALI's speed decides no pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import kinds
import numpy as np
import pytest
from tolerances import assert_close, tolerance
from workshop import by_row, write

from vocscore.pipeline.dali import DaliLoader
from vocscore.pipeline.dali_decoder import DEFAULT_TUNING, Tuning
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from pathlib import Path


def made(refs: list, tuning: Tuning, *, device: str) -> dict[int, np.ndarray]:
    loader = DaliLoader(
        Preprocess(size=64),
        batch_size=3,
        threads=2,
        device=device,
        max_pixels=10**7,
        tuning=tuning,
    )
    with loader:
        return by_row(loader.batches(refs))


@pytest.mark.parametrize(
    "device", ["cpu", pytest.param("cuda:0", marks=pytest.mark.gpu)], ids=["cpu", "cuda"]
)
@pytest.mark.parametrize("in_flight", [1, 2, 5])
def test_every_row_comes_whatever_the_tuning(tmp_path: Path, device: str, in_flight: int) -> None:
    """Depth, hardware share and tied threads change no row of a loader.

    On a GPU the engines and the other units may round differently, as hardware decoders do.
    """
    files = {f"{row}": kinds.encoded(kinds.photo(90 + row, 80), "JPEG") for row in range(14)}
    refs = write(tmp_path, files)
    expected = made(refs, DEFAULT_TUNING, device=device)
    for load in (0.0, 1.0):
        tuning = Tuning(hw_decoder_load=load, in_flight=in_flight, affine=True)
        found = made(refs, tuning, device=device)
        assert sorted(found) == list(range(14))
        for row, pixels in found.items():
            if device == "cpu":
                np.testing.assert_array_equal(pixels, expected[row])
            else:
                allowed = tolerance("dali cuda", "jpeg")
                assert_close(pixels, expected[row], allowed=allowed, name=f"row {row}")
