"""Which images enter DALI's graph, which decodes whole batches in full."""

from __future__ import annotations

import kinds
import pytest
from PIL import Image

from vocscore.pipeline.dali_routing import is_for_dali
from vocscore.pipeline.preprocess import Preprocess


@pytest.mark.parametrize("fit", ["squash", "crop"])
@pytest.mark.parametrize(
    ("width", "height", "enters"),
    [(1400, 1400, True), (1000, 4000, True), (1400, 4000, False), (9000, 1200, False)],
)
def test_long_images_are_decoded_on_the_host(
    fit: str, width: int, height: int, *, enters: bool
) -> None:
    """Those of at most 64 pixels per pixel of the square enter, if they are not reduced."""
    data = kinds.encoded(Image.new("RGB", (width, height)), "JPEG")
    assert is_for_dali(data, Preprocess(size=256, fit=fit), 10**8) == enters
