"""The DALI loader on a GPU, held against the host path."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import kinds
import numpy as np
import pytest
import torch
from raw_sets import GOOD, pack_raw, written
from tolerances import assert_close, fitted_tolerance, recolored_tolerance, tolerance
from workshop import FITTED, by_row, make, rows_in_order, write

from shards.images import jpeg
from shards.reader import load_split
from shards.sample import ImageRef
from vocscore.config.training import AugmentationConfig
from vocscore.pipeline import dali
from vocscore.pipeline.augment import Views
from vocscore.pipeline.dali import DaliLoader
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.gpu
DEVICE = "cuda:0"
SIZE = 64


def test_drawn_kinds_agree_with_the_reference(tmp_path: Path) -> None:
    """Every kind of image comes out of the GPU as Pillow would make it."""
    good = kinds.good()
    refs = write(tmp_path, good)
    outcomes = {}
    for name in ("reference", "dali"):
        with make(name, Preprocess(size=SIZE), device=DEVICE) as loader:
            outcomes[name] = by_row(loader.batches(refs))
    assert sorted(outcomes["dali"]) == list(range(len(good)))
    for row, name in enumerate(good):
        allowed = tolerance("dali cuda", name)
        assert_close(outcomes["dali"][row], outcomes["reference"][row], allowed=allowed, name=name)


@pytest.mark.parametrize("way", FITTED)
def test_fitted_kinds_agree_with_the_reference(tmp_path: Path, way: str) -> None:
    """Crops, borders and bicubic weights are those of Pillow on the GPU too."""
    good = kinds.good()
    refs = write(tmp_path, good)
    outcomes = {}
    for name in ("reference", "dali"):
        with make(name, FITTED[way], device=DEVICE) as loader:
            outcomes[name] = by_row(loader.batches(refs))
    for row, name in enumerate(good):
        allowed = fitted_tolerance("dali cuda", name, FITTED[way])
        assert_close(outcomes["dali"][row], outcomes["reference"][row], allowed=allowed, name=name)


def test_augmented_kinds_agree_with_the_reference(tmp_path: Path) -> None:
    """Crops, flips and colors come out of the GPU as Pillow and NumPy would make them."""
    good = kinds.good()
    refs = write(tmp_path, good)
    views = Views(AugmentationConfig(crop_scale=0.25, flip=0.5, jitter=0.4), seed=5, epoch=1)
    outcomes = {}
    for name in ("reference", "dali"):
        with make(name, Preprocess(size=SIZE), device=DEVICE) as loader:
            outcomes[name] = by_row(loader.batches(refs, views=views))
    for row, name in enumerate(good):
        allowed = recolored_tolerance(tolerance("dali cuda", name), views.of(row).colors)
        assert_close(outcomes["dali"][row], outcomes["reference"][row], allowed=allowed, name=name)


def test_photographs_agree_with_the_host(voc_data: Path) -> None:
    """Real photographs come out of the GPU as out of the host path; the difference is printed."""
    files = sorted((voc_data / "voc2012-100" / "JPEGImages").iterdir())
    refs = [ImageRef(file.name, str(file)) for file in files]
    outcomes = {}
    for name in ("host", "dali"):
        with make(name, Preprocess(), device=DEVICE, batch_size=32, threads=4) as loader:
            outcomes[name] = by_row(loader.batches(refs))
    differences = [
        np.abs(outcomes["dali"][row].astype(int) - outcomes["host"][row])
        for row in range(len(refs))
    ]
    print(  # noqa: T201 - the figure that the tolerance is chosen by
        f"GPU against host: largest {max(d.max() for d in differences)}, "
        f"inside the border {max(d[:, 1:-1, 1:-1].max() for d in differences)}, "
        f"mean {np.mean([d.mean() for d in differences]):.3f} gray levels"
    )
    for row, ref in enumerate(refs):
        allowed = tolerance("dali cuda", "jpeg")
        assert_close(outcomes["dali"][row], outcomes["host"][row], allowed=allowed, name=ref.name)


def test_auto_is_dali_on_a_gpu(tmp_path: Path) -> None:
    """On a GPU the fast path is DALI, and its batches lie there, channels-last."""
    refs = write(tmp_path, {"a": kinds.good()["jpeg"], "b": kinds.good()["png"]})
    with make("auto", Preprocess(size=SIZE), device=DEVICE) as loader:
        assert isinstance(loader, DaliLoader)
        (batch,) = loader.batches(refs)
    assert batch.images.device == torch.device(DEVICE)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("batch_size", [1, 3, 8, 100])
@pytest.mark.parametrize("checked", [True, False], ids=["checked", "unchecked"])
def test_bad_images_cost_their_own_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int, checked: bool
) -> None:
    """Bad images among good ones are failures, and every other row comes out as it was."""
    if not checked:  # so that they reach nvJPEG and end the graph
        monkeypatch.setattr(jpeg, "check", lambda data: None)
    good = kinds.encoded(kinds.photo(), "JPEG")
    bad = {0, 5, 6, 7, 19}
    half = kinds.bad()["half a JPEG"][0]
    refs = write(tmp_path, {f"{row}": half if row in bad else good for row in range(20)})
    with make("dali", Preprocess(size=SIZE), device=DEVICE, batch_size=batch_size) as loader:
        batches = list(loader.batches(refs))
        again = by_row(loader.batches(refs[1:5]))
    assert rows_in_order(batches) == list(range(20))
    assert all(b.images.is_contiguous(memory_format=torch.channels_last) for b in batches)
    pixels = by_row(batches)
    if checked:  # without the check nvJPEG may decode half an image to half of its pixels
        assert {f.row for batch in batches for f in batch.failures} == bad
    for row in set(range(20)) - bad:
        assert_close(
            pixels[row], again[0], allowed=tolerance("dali cuda", "jpeg"), name=f"row {row}"
        )


def test_batches_outlive_the_graph(tmp_path: Path) -> None:
    """Pixels that the consumer keeps are not overwritten by the batches after them."""
    files = {f"{row}": kinds.encoded(kinds.photo(100 + row, 80), "JPEG") for row in range(40)}
    refs = write(tmp_path, files)
    with make("dali", Preprocess(size=SIZE), device=DEVICE, batch_size=4) as loader:
        kept, copies = [], []
        for batch in loader.batches(refs):
            kept.append(batch.images)
            copies.append(batch.images.clone())
    assert all(torch.equal(one, copy) for one, copy in zip(kept, copies, strict=True))


@contextmanager
def nothing_waits() -> Iterator[None]:
    """Forbids torch to wait for the GPU, in this thread and every other."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_raw_shards_need_no_decoder_and_wait_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their pixels are the host's to the bit, on the GPU, while the GPU is busy; no graph."""

    def refuse(**_: object) -> None:
        raise AssertionError("a graph was built")

    monkeypatch.setattr(dali, "_graph", refuse)
    preprocess = Preprocess(size=SIZE)
    packed = pack_raw(written(tmp_path / "in"), tmp_path / "raw", preprocess)
    refs = list(load_split(packed, "train").images) * 20
    with make("host", preprocess) as loader:
        expected = by_row(loader.batches(refs))
    busy = torch.rand(2048, 2048, device=DEVICE)
    found: dict[int, torch.Tensor] = {}
    with make("auto", preprocess, device=DEVICE, batch_size=4) as loader:
        list(loader.batches(refs))  # page-locked memory is there
        with nothing_waits():
            for batch in loader.batches(refs):
                busy = busy @ busy / busy.amax()
                assert batch.images.device == torch.device(DEVICE)
                assert batch.images.is_contiguous(memory_format=torch.channels_last)
                for row, image in zip(batch.rows.tolist(), batch.images, strict=True):
                    found[row] = image.clone()  # read when its turn comes, after the batch is freed
                del batch
    assert len(found) == 20 * GOOD
    for row, image in found.items():
        np.testing.assert_array_equal(image.cpu().numpy(), expected[row])


def test_what_the_host_decodes_is_the_hosts_to_the_bit(tmp_path: Path) -> None:
    """Other formats, progressive and large JPEGs, beside those of the graph, and alone."""
    good = kinds.good()
    files = {
        "baseline": good["jpeg"],
        "progressive": good["jpeg progressive"],
        "large": kinds.encoded(kinds.photo(1000, 750), "JPEG"),
        "png": good["png"],
        "webp": good["webp"],
    }
    refs = write(tmp_path, files)
    with make("host", Preprocess(size=SIZE)) as loader:
        expected = by_row(loader.batches(refs))
    for batch_size in (1, 2, 5):
        with make("dali", Preprocess(size=SIZE), device=DEVICE, batch_size=batch_size) as loader:
            found = by_row(loader.batches(refs))
        for row in range(1, len(files)):
            np.testing.assert_array_equal(found[row], expected[row])
