"""A small network that contests can be tried on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from bench.subjects import Subject


@pytest.fixture(scope="session")
def small_subject(voc_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A head trained behind a random SqueezeNet for 64x64 pixels, on 48 drawn images."""
    from bench import subjects

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subjects, "_source", lambda _scratch: (voc_tree, "48 drawn images"))
        patch.setattr(subjects, "_weights", lambda _backbone: "none")
        patch.setattr(subjects, "_quantize", lambda _run: None)  # seconds; int8 is absent then
        return subjects.make_subject("squeezenet1_1", tmp_path_factory.mktemp("subject"), size=64)
