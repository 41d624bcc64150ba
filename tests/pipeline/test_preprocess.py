"""The one preprocessing, as a value."""

from __future__ import annotations

import json

import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from vocscore.pipeline.preprocess import Preprocess


def test_normalize_is_torchvisions() -> None:
    """Scaling to 0..1 and normalizing by mean and std is what torchvision does."""
    images = torch.arange(2 * 3 * 5 * 7, dtype=torch.uint8).view(2, 3, 5, 7)
    preprocess = Preprocess(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    expected = tv.normalize(
        tv.to_dtype(images, torch.float32, scale=True), preprocess.mean, preprocess.std
    )
    torch.testing.assert_close(preprocess.normalize(images), expected, rtol=0, atol=1e-6)


def test_normalize_keeps_the_memory_format() -> None:
    """Channels-last pixels become channels-last input: nothing is reordered on the way."""
    images = torch.arange(2 * 3 * 5 * 7, dtype=torch.uint8).view(2, 3, 5, 7)
    last = images.contiguous(memory_format=torch.channels_last)
    out = Preprocess().normalize(last)
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(out, Preprocess().normalize(images))
    assert torch.equal(last, images)  # and the pixels stay as they are


@pytest.mark.gpu
def test_normalizing_on_a_gpu_waits_for_nothing() -> None:
    """With synchronization forbidden it gives what the CPU gives."""
    images = torch.arange(2 * 3 * 8 * 8, dtype=torch.int32).to(torch.uint8).view(2, 3, 8, 8)
    images = images.contiguous(memory_format=torch.channels_last)
    on_gpu = images.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = Preprocess().normalize(on_gpu)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(found.cpu(), Preprocess().normalize(images), rtol=1e-6, atol=1e-6)


def test_it_survives_json() -> None:
    """What the checkpoint keeps gives back an equal value."""
    preprocess = Preprocess(size=224, upright=False, mean=(0.5, 0.4, 0.3), std=(1, 2, 3))
    assert Preprocess.from_json(json.loads(json.dumps(preprocess.to_json()))) == preprocess


def test_an_unknown_setting_is_refused() -> None:
    """A checkpoint of another version is not read as if it were this one's."""
    with pytest.raises(TypeError):
        Preprocess.from_json({**Preprocess().to_json(), "crop": 0.875})


@pytest.mark.parametrize(
    "values", [{"size": 0}, {"std": (0.0, 1.0, 1.0)}, {"mean": (0.5, 0.5)}], ids=str
)
def test_values_without_meaning_are_refused(values: dict[str, object]) -> None:
    """No size, a division by zero and a missing channel are refused where the value is made."""
    with pytest.raises(ValueError):
        Preprocess(**values)  # type: ignore[arg-type]
