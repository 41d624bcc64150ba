"""Batches of images in several sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shards.errors import Fault, Reason
from shards.sample import ImageRef
from vocscore.pipeline.batch import Batch, Failure, ImageLoader
from vocscore.pipeline.loaders import open_loader
from vocscore.pipeline.preprocess import Preprocess
from vocscore.pipeline.several_sizes import SeveralSizes, open_sizes, pack, shape_of, unpack

SIZES = (16, 24)
OPTIONS = {"batch_size": 3, "device": "cpu", "threads": 2, "max_pixels": 10**7}


def test_what_is_packed_is_unpacked():
    """Whatever the memory format, in any number of sizes."""
    images = [torch.randint(256, (5, 3, s, s), dtype=torch.uint8) for s in (4, 7, 3)]
    for packed in (pack(images), pack(images).contiguous()):
        assert packed.shape == (5, *shape_of((4, 7, 3)))
        for one, found in zip(images, unpack(packed, (4, 7, 3)), strict=True):
            assert torch.equal(one, found)
    assert unpack(images[0], (4,))[0] is images[0]
    with pytest.raises(ValueError, match="not a batch of the sizes"):
        unpack(images[0], (4, 7))


@pytest.mark.parametrize("name", ["host", "reference"])
def test_each_size_has_the_pixels_of_its_own_loader(voc_tree, name):
    """Row by row; an image that cannot be decoded fails in all."""
    files = sorted((voc_tree / "JPEGImages").iterdir())[:7]
    refs = [ImageRef(file.name, str(file)) for file in files]
    refs.insert(4, ImageRef("gone", str(voc_tree / "gone.jpg")))
    expected = {}
    for size in SIZES:
        with open_loader(name, Preprocess(size=size), **OPTIONS) as loader:
            for batch in loader.batches(refs):
                for row, image in zip(batch.rows.tolist(), batch.images, strict=True):
                    expected[size, row] = image.clone()
    with open_sizes(name, Preprocess(size=1), SIZES, **OPTIONS) as loader:
        batches = list(loader.batches(refs))
    rows = [row for batch in batches for row in batch.rows.tolist()]
    assert rows == [0, 1, 2, 3, 5, 6, 7]
    assert [failure.row for batch in batches for failure in batch.failures] == [4]
    for batch in batches:
        for size, images in zip(SIZES, unpack(batch.images, SIZES), strict=True):
            for row, image in zip(batch.rows.tolist(), images, strict=True):
                assert torch.equal(image, expected[size, row])


class Given(ImageLoader):
    """Yields what it was given."""

    def __init__(self, size, rows, failed=()):
        self.size, self.rows, self.failed, self.closed = size, rows, failed, False

    def batches(self, refs, *, labels=None, order=None, views=None):
        images = torch.zeros((len(self.rows), 3, self.size, self.size), dtype=torch.uint8)
        images += torch.tensor(self.rows, dtype=torch.uint8)[:, None, None, None]
        failures = tuple(Failure(row, Fault(Reason.CORRUPT, "bad")) for row in self.failed)
        yield Batch(images, np.array(self.rows, np.int64), failures=failures)

    def close(self):
        self.closed = True


def test_an_image_that_fails_in_one_size_fails():
    """Its other size is left out; rows are joined by their numbers, not their places."""
    loaders = [Given(2, [0, 1, 3], failed=[2]), Given(3, [3, 2, 0], failed=[1])]
    with SeveralSizes(loaders) as several:
        (batch,) = several.batches([None] * 4)
    assert batch.rows.tolist() == [0, 3]
    assert [failure.row for failure in batch.failures] == [1, 2]
    for images in unpack(batch.images, (2, 3)):
        assert images[:, 0, 0, 0].tolist() == [0, 3]
    assert all(loader.closed for loader in loaders)


def test_batches_of_other_images_are_a_bug_that_is_told():
    """Rows are never guessed."""
    with pytest.raises(RuntimeError, match="different images"):
        list(SeveralSizes([Given(2, [0, 1]), Given(3, [0, 2])]).batches([None] * 3))
