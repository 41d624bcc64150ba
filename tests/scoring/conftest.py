"""What the tests of scoring share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import tiny_backbone

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", autouse=True)
def _tiny_backbones() -> Iterator[None]:
    """Checkpoints have a tiny backbone where no other process has to know it."""
    with pytest.MonkeyPatch.context() as patch:
        tiny_backbone.register(patch)
        yield
