"""Which backbones there are, read without torchvision, and what their layers are called."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING

import pytest
import torchvision.models
from torchvision.models import get_model

from vocscore.models.backbones import check_backbone, names_in_source
from vocscore.models.state_dicts import foreign_names

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "backbone",
    ["resnet18", "maxvit_t", "vit_b_32", "swin_t", "regnet_y_400mf", "convnext_tiny", "mnasnet0_5"],
)
def test_torchvisions_own_names_are_nobody_elses(backbone: str) -> None:
    """A model of torchvision is never taken for one of another library."""
    assert foreign_names(get_model(backbone, weights=None).state_dict()) is None


def test_the_names_in_torchvisions_source_are_those_it_registers() -> None:
    """Without importing it: the very classifiers of `torchvision.models.list_models`."""
    assert names_in_source() == set(torchvision.models.list_models(module=torchvision.models))


def test_where_the_source_cannot_be_told_torchvision_decides(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another layout of torchvision refuses nothing by mistake."""
    package = tmp_path / "torchvision" / "models"
    package.mkdir(parents=True)
    (package / "resnet.py").write_text("@register_model()\ndef resnet18():\n    ...\n")
    spec = types.SimpleNamespace(submodule_search_locations=[str(package.parent)])
    monkeypatch.setattr("vocscore.models.backbones.find_spec", lambda _name: spec)
    names_in_source.cache_clear()
    assert names_in_source() == frozenset()
    check_backbone("whatever")
    names_in_source.cache_clear()
