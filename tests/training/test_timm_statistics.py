"""Batch normalization over all processes, in models of timm."""

from __future__ import annotations

import copy

import pytest
import torch

from vocscore.models.network import build_network
from vocscore.ranks import Ranks
from vocscore.training import batch_norm
from vocscore.training.batch_norm import HostBatchNorm, with_shared_statistics


@pytest.mark.parametrize("backbone", ["timm/test_efficientnet", "timm/test_resnet"])
def test_shared_statistics_keep_activations(backbone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Activations that timm fuses into the layer follow the shared statistics as well.

    The sum over the processes is that of one, so the result is that of the model itself.
    """
    monkeypatch.setattr(batch_norm, "summed", lambda own: own.clone())
    network = build_network(backbone, classes=2, weights="none", size=32)
    shared = with_shared_statistics(network, Ranks(size=2), device=torch.device("cpu"))
    assert any(isinstance(module, HostBatchNorm) for module in shared.modules())
    assert shared.state_dict().keys() == network.state_dict().keys()
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for training in (True, False):
        expected = copy.deepcopy(network).train(training)(images)
        found = copy.deepcopy(shared).train(training)(images)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
