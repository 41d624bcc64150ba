"""The memory for images is bounded from Python as on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import vocscore as vs
from shards.images import budget

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _usual_limit() -> Iterator[None]:
    yield
    budget.set_limit(budget.LIMIT)


def bound() -> int:
    """The limit of this process, bytes."""
    return budget.FILES.limit + budget.PIXELS.limit


def test_a_model_bounds_the_process(run_folder: Path, paths: list[Path]) -> None:
    """To so many MiB, 1024 by default; results keep their bits."""
    with vs.load(run_folder, device="cpu", workers=4, image_memory=1) as model:
        assert bound() == 1 << 20
        tight = np.stack([one.vector for one in model.predict(paths)])
    with vs.load(run_folder, device="cpu") as model:
        assert bound() == 1024 << 20
        np.testing.assert_array_equal(tight, np.stack([one.vector for one in model.predict(paths)]))
    with pytest.raises(vs.Error, match=r"^`image_memory` is 0, but must be at least 1\.$"):
        vs.load(run_folder, image_memory=0)
    assert bound() == 1024 << 20


def test_a_loader_bounds_the_process(packed: Path) -> None:
    """From its creation on; batches keep their bytes."""
    usual = vs.loader(packed, size=32, device="cpu")
    wanted = [batch.images.numpy().copy() for batch in usual]
    tight = vs.loader(packed, size=32, device="cpu", workers=4, image_memory=1)
    assert bound() == 1 << 20
    for batch, images in zip(tight, wanted, strict=True):
        np.testing.assert_array_equal(batch.images.numpy(), images)
