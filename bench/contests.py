"""The contests by name: the one place where `python -m bench NAME` finds what to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vocscore.config import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.options import Options
    from bench.outcome import Outcome


TRAINED = TrainConfig.backbone
"""The one backbone of contests that would take too long with all."""


@dataclass(frozen=True)
class Contest:
    """One name on the command line.

    Attributes:
        run: gives each outcome as soon as it is there.
        help: what it compares, a line.
        in_all: part of `python -m bench` without a name.
    """

    run: Callable[[Options], Iterator[Outcome]]
    help: str
    in_all: bool = True


def _loaders(options: Options) -> Iterator[Outcome]:
    from bench.loaders import IMAGES, compare_loaders

    images = options.some(images=IMAGES[options.kind])
    yield options.noted(compare_loaders(images.refs, repeats=options.repeats), images)


def _augment(options: Options) -> Iterator[Outcome]:
    from bench.augment import IMAGES, compare_augmented

    images = options.some(images=IMAGES)
    outcome = compare_augmented(images.refs, options.scratch / "augment", repeats=options.repeats)
    yield options.noted(outcome, images)


def _models(options: Options) -> Iterator[Outcome]:
    from bench.models import IMAGES, compare_models
    from bench.subjects import make_subject

    for backbone in options.backbones:
        subject = make_subject(backbone, options.scratch)
        number = options.images or IMAGES
        yield compare_models(subject, repeats=options.repeats, images=number)


def _ceilings(options: Options) -> Iterator[Outcome]:
    from bench import ceilings
    from bench.models import IMAGES
    from bench.subjects import make_subject

    images, repeats = options.some(images=256), options.repeats
    yield options.noted(ceilings.measure_images(images.refs, repeats=repeats), images)
    subjects = [make_subject(backbone, options.scratch) for backbone in options.backbones]
    number = options.images or IMAGES
    yield ceilings.measure_models(subjects, repeats=repeats, images=number)
    yield ceilings.measure_products(repeats=repeats)
    yield from ceilings.measure_writing(options.scratch / "written", repeats=repeats)


def _score(options: Options) -> Iterator[Outcome]:
    from bench.score import IMAGES, compare_scoring
    from bench.subjects import make_subject

    images = options.some(images=IMAGES)
    for backbone in options.backbones:
        subject = make_subject(backbone, options.scratch)
        scratch = options.scratch / f"score-{backbone}"
        yield options.noted(
            compare_scoring(subject, images, scratch, repeats=options.repeats), images
        )


def _train(options: Options) -> Iterator[Outcome]:
    from bench.subjects import make_subject
    from bench.training import IMAGES, compare_training

    images = options.some(images=IMAGES)
    subject = make_subject(TRAINED, options.scratch)
    outcome = compare_training(subject, images, options.scratch / "train", repeats=options.repeats)
    yield options.noted(outcome, images)


def _start(options: Options) -> Iterator[Outcome]:
    from bench.start import FILES, measure_start
    from bench.subjects import make_subject

    images = options.some(images=100)
    subject = make_subject(TRAINED, options.scratch)
    outcome = measure_start(
        subject, images.folder, options.scratch / "start", repeats=options.repeats, files=FILES
    )
    yield options.noted(outcome, images)


def _dirty(options: Options) -> Iterator[Outcome]:
    from bench.dirty import compare_dirty

    images = options.some(images=128)
    outcome = compare_dirty(images.refs, options.scratch / "dirty", repeats=options.repeats)
    yield options.noted(outcome, images)


def _pack(options: Options) -> Iterator[Outcome]:
    from bench.pack import compare_packing

    # so many that starting and ending do not count; three copies of them have to fit on the disk
    images = options.some(images={"large": 40, "png": 400}.get(options.kind, 2000))
    outcome = compare_packing(images.refs, options.scratch / "pack", repeats=options.repeats)
    yield options.noted(outcome, images)


def _memory(options: Options) -> Iterator[Outcome]:
    from bench.memory import compare_memory

    yield compare_memory(options.inputs, listed=options.listed)


def _gpu(options: Options) -> Iterator[Outcome]:
    from bench.gpu.sections import contest

    yield from contest(options)


CONTESTS = {
    "loaders": Contest(_loaders, "files to batches, beside other loaders"),
    "augment": Contest(_augment, "random crops, flips and colors, beside torchvision's"),
    "models": Contest(_models, "the network alone by precision, and how far its answers move"),
    "ceilings": Contest(_ceilings, "each stage alone: read, decode, network, arithmetic, write"),
    "score": Contest(_score, "folder to CSV, beside the usual loop and the ceilings"),
    "start": Contest(_start, "process start to the first scored images"),
    "train": Contest(_train, "ten epochs of a head, beside a scoring pass and the usual loop"),
    "dirty": Contest(_dirty, "what bad files cost"),
    "pack": Contest(_pack, "VOC tree to shards, beside tar and decoding once"),
    "gpu": Contest(_gpu, "everything about a machine with a GPU, in 8 minutes", in_all=False),
    "memory": Contest(_memory, "what one more input costs in memory", in_all=False),
}
