"""The contests by name, and what the command line asks of one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING

from bench.images import ImageSet, make_images
from vocscore.config.compute import DecodeConfig
from vocscore.scoring.engines.batching import CPU_GROUP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.checkpoints import Checkpoint
    from bench.outcome import Outcome

BACKBONES = ("alexnet", "resnet18", "googlenet")
_TIMES_ON_GPU = 32
"""So many times the images, to fill the same seconds."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """One call of `python -m bench`.

    Attributes:
        scratch: a folder that is removed at the end; a contest may make folders in it.
        repeats: counted rounds.
        kind: of data set, one of `bench.images.KINDS`.
        images: per repeat; None for each contest's own number.
        backbones: of the contests that run a network.
        device: 'cpu' or 'cuda:N'.
        seconds: that the contest 'gpu' may take.
        checkpoints: backbone -> what was trained already in this call.
    """

    scratch: Path
    repeats: int = 3
    kind: str = "voc"
    images: int | None = None
    backbones: tuple[str, ...] = BACKBONES
    device: str = "cpu"
    seconds: float = 450.0
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict, repr=False)
    _made: dict[tuple[str, int], ImageSet] = field(default_factory=dict, repr=False)

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device != "cpu"

    @property
    def where(self) -> str:
        """The device, for titles."""
        return self.device if self.on_gpu else "the CPU"

    @property
    def batch_size(self) -> int:
        """Images that are decoded together; on a GPU the network's batch, too."""
        return 256 if self.on_gpu else DecodeConfig.batch_size

    @property
    def group(self) -> int:
        """Images that a network sees at once, as `score` hands them to it."""
        return self.batch_size if self.on_gpu else CPU_GROUP

    def image_set(self, number: int) -> ImageSet:
        """A folder of images of the asked kind: so many, unless the command line says how many."""
        number = self.images or number * (_TIMES_ON_GPU if self.on_gpu else 1)
        if (self.kind, number) not in self._made:
            folder = self.scratch / f"{self.kind}-{number}"
            self._made[self.kind, number] = make_images(folder, number=number, kind=self.kind)
        return self._made[self.kind, number]

    def checkpoint(self, backbone: str) -> Checkpoint:
        """A network, trained the first time that it is asked for."""
        from bench.checkpoints import make_checkpoint

        if backbone not in self.checkpoints:
            self.checkpoints[backbone] = make_checkpoint(backbone, self.scratch)
        return self.checkpoints[backbone]


@dataclass(frozen=True)
class Contest:
    """One name on the command line.

    The function is 'module:function' in bench; it gives each outcome as soon as it is there.
    """

    function: str
    help: str
    in_all: bool = True
    """Part of `python -m bench` without a name."""

    def run(self, options: Options) -> Iterator[Outcome]:
        """Import the module and run it: a contest needs only its own libraries."""
        module, _, name = self.function.partition(":")
        function: Callable[[Options], Iterator[Outcome]]
        function = getattr(import_module(f"bench.{module}"), name)
        for outcome in function(options):
            key = {**outcome.key, "device": options.device} if options.on_gpu else outcome.key
            yield replace(outcome, key=key)


CONTESTS = {
    "loaders": Contest("loaders:run", "files to batches on the CPU, beside other loaders"),
    "models": Contest("models:run", "the network alone by precision, and its accuracy"),
    "ceilings": Contest("ceilings:run", "each stage alone: read, decode, batch, write"),
    "score": Contest("score:run", "folder to CSV, beside other loops and the ceilings"),
    "start": Contest("processes:start", "process start to the first scored images"),
    "train": Contest("training:run", "ten epochs of a head, beside the usual loop"),
    "dirty": Contest("loaders:dirty", "what bad files cost"),
    "pack": Contest("pack:run", "VOC tree to shards, beside tar and decoding once"),
    "gpu": Contest("gpu:run", "all that concerns a GPU, in 8 minutes", in_all=False),
    "memory": Contest("processes:memory", "memory per additional input", in_all=False),
}
