"""Photographs of 12 megapixels at 1/8: all of the file decoded, or what is used of it."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING
from unittest import mock

import torch

from bench.outcome import Outcome
from bench.product import own_loader
from bench.timing import Timed, consume, interleave
from shards.images import baseline, scans
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.contests import Options

_KINDS = ("mosaic", "progressive")
_NUMBER, _BATCH = 64, 8
ALL, USED = "vocscore, host, all of the file decoded", "vocscore, host"


def run(options: Options) -> Iterator[Outcome]:
    """Files to batches by the host loader, both ways, after a comparison of every pixel.

    Raises:
        ValueError: the extension was not built, the kind has no such images, or pixels differ.
    """
    if baseline._native is None:  # noqa: SLF001
        raise ValueError(
            "shards.images._baseline was not built: pip install -e . with a C compiler"
        )
    if options.kind not in _KINDS:
        raise ValueError(f"--kind {options.kind}: one of {_KINDS}")
    images = options.image_set(_NUMBER)
    with closing(own_loader("host", Preprocess(), batch_size=_BATCH)) as loader:

        def used() -> Timed:
            """Processor time of all threads: other programs on the machine matter less to it."""
            started = time.process_time()
            return Timed(consume(loader, images.refs), time.process_time() - started)

        def everything() -> Timed:
            with _all_decoded():
                return used()

        def pixels() -> torch.Tensor:
            return torch.cat([batch.images for batch in loader.batches(images.refs[:4])])

        with _all_decoded():
            truth = pixels()
        if not torch.equal(pixels(), truth):
            raise ValueError("the pixels differ")
        rates = interleave({ALL: everything, USED: used}, repeats=options.repeats)
    yield Outcome(
        contest="eighth",
        title="eighth: 12 megapixels to batches of 256x256, by processor time",
        unit="images per second of one core",
        rates=rates,
        peers=(ALL,),
        key=images.key,
        facts={**images.facts, "different_pixels": 0},
    )


@contextmanager
def _all_decoded() -> Iterator[None]:
    """Without the extension and with every scan."""
    with (
        mock.patch.object(baseline, "_native", None),
        mock.patch.object(scans, "for_an_eighth", return_value=None),
    ):
        yield
