"""Turns a whole classifier into a backbone and a linear head, if that computes the same."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from vocscore.models.network import Network

_TOLERANCE = 1e-4
"""Largest difference of a logit, relative to the largest: float32 sums in another order."""


def split_head(whole: nn.Module, network: Network, *, size: int) -> bool:
    """Copy the weights of a whole classifier into a network of the same architecture, in place.

    Args:
        whole: in evaluation mode.
        network: as `empty_network` returns it.
        size: height and width of the images, pixels.

    Returns:
        Whether the network now computes the same logits; if not, it is not to be used.
    """
    theirs, ours = whole.state_dict(), network.backbone.state_dict()
    prefix = _prefix(ours, theirs)
    if prefix is None:
        return False
    last = _last_layer(whole, theirs.keys() - {name.removeprefix(prefix) for name in ours})
    if last is None or last.weight.shape != network.head.weight.shape:
        return False
    state = OrderedDict((name, theirs[name.removeprefix(prefix)]) for name in ours)
    if any(state[name].shape != ours[name].shape for name in ours):
        return False
    # as in `load_checkpoint`: the versions of the modules, which MNASNet needs
    state._metadata = getattr(ours, "_metadata", None)  # type: ignore[attr-defined]  # noqa: SLF001
    network.backbone.load_state_dict(state)
    with torch.no_grad():
        network.head.weight.copy_(last.weight)
        network.head.bias.copy_(torch.zeros(1) if last.bias is None else last.bias)
    return _agree(whole, network.eval(), size=size)


def _prefix(ours: Mapping[str, object], theirs: Mapping[str, object]) -> str | None:
    """Return what a wrapper put before the names of the backbone's tensors."""
    first = next(iter(ours), "")
    parts = first.split(".")
    prefixes = ["".join(f"{part}." for part in parts[:n]) for n in range(len(parts))]
    fits = (
        prefix
        for prefix in prefixes
        if all(name.startswith(prefix) and name.removeprefix(prefix) in theirs for name in ours)
    )
    return next(fits, None)


def _last_layer(whole: nn.Module, left: Collection[str]) -> nn.Linear | None:
    """Return the linear layer that has exactly these tensors; None if there is none."""
    owners = {name.rpartition(".")[0] for name in left}
    if len(owners) != 1:
        return None
    module = whole.get_submodule(owners.pop())
    return module if isinstance(module, nn.Linear) else None


@torch.inference_mode()
def _agree(whole: nn.Module, network: Network, *, size: int) -> bool:
    """Compare both on noise; the images of the proof come later, and decide."""
    noise = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    expected, found = whole(noise), network(noise)
    if expected.shape != found.shape:
        return False
    limit = _TOLERANCE * float(expected.abs().max().clamp(min=1))
    return bool((expected - found).abs().max() <= limit)
