"""`Model.features` beside what training computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from shards.reader import LabeledImages
from shards.sample import ImageRef
from vocscore.api.backbone import EagerBackbone
from vocscore.errors import ScoreError
from vocscore.models.checkpoint import load_checkpoint
from vocscore.pipeline.loaders import open_loader
from vocscore.training.features import FEATURE_BATCH, Decoding, compute_features


def test_features_are_those_that_training_computes(run_folder, model, paths):
    """Within 1e-6, in order, whatever the form of the inputs."""
    network, card = load_checkpoint(run_folder)
    refs = [ImageRef(path, path) for path in paths]
    labels = np.zeros((len(paths), len(card.classes)), np.int8)
    with open_loader(
        "host",
        card.preprocess,
        batch_size=FEATURE_BATCH,
        device="cpu",
        threads=2,
        max_pixels=200_000_000,
    ) as loader:
        decoding = Decoding(
            loader, card.preprocess, torch.device("cpu"), FEATURE_BATCH, lambda _images: None
        )
        (expected,) = compute_features(
            network.backbone, [LabeledImages(refs, labels)], decoding=decoding, bf16=False
        )
    mixed = [path if number % 2 else Path(path).read_bytes() for number, path in enumerate(paths)]
    for inputs in (paths, mixed):
        got = model.features(inputs)
        assert got.dtype == np.float32
        assert got.shape == (len(paths), network.head.in_features)
        np.testing.assert_allclose(got, expected.values.numpy(), rtol=0, atol=1e-6)
    with torch.inference_mode():
        logits = network.head(torch.from_numpy(got))
    probabilities = torch.sigmoid(logits).numpy()
    for one, row in zip(model.predict(paths), probabilities, strict=True):
        np.testing.assert_allclose(one.vector, row, rtol=0, atol=1e-5)


def test_an_image_that_cannot_be_decoded_is_named_or_a_row_of_nan(model, paths):
    """As asked: the first one is raised, or all are NaN."""
    inputs = [paths[0], "gone.jpg", b"", paths[1]]
    with pytest.raises(ScoreError, match=r"^gone\.jpg: vanished: no such file"):
        model.features(inputs)
    with pytest.raises(ScoreError, match=r"^inputs\[0\]: empty: no bytes"):
        model.features([b""])
    found = model.features(inputs, on_error="nan")
    assert np.isnan(found).all(axis=1).tolist() == [False, True, True, False]
    with pytest.raises(ValueError, match="on_error must be"):
        model.features(inputs, on_error="skip")


def test_no_images_have_features_of_no_rows(model):
    """The number of features is still told."""
    assert model.features([]).shape == (0, 512)


def test_the_backbone_of_a_gpu_computes_the_same_layer_by_layer(run_folder, model, paths):
    """Run on the CPU here: PyTorch instead of OpenVINO, within what their kernels differ by."""
    network, card = load_checkpoint(run_folder)
    with open_loader(
        "host", card.preprocess, batch_size=48, device="cpu", threads=2, max_pixels=10**8
    ) as loader:
        (batch,) = loader.batches([ImageRef(path, path) for path in paths])
    eager = EagerBackbone(network.backbone, card.preprocess, device="cpu")
    found = eager.probabilities(batch.images)
    np.testing.assert_allclose(found, model.features(paths), rtol=1e-3, atol=1e-4)
