"""The contests by name, and the options of one run."""

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
"""Factor on the number of images, to fill the same seconds."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """One call of `python -m bench`.

    Attributes:
        scratch: a folder that is removed at the end; a contest may make folders in it.
        repeats: counted rounds.
        kind: kind of images, one of `bench.images.KINDS`.
        images: images per repeat; None for each contest's own number.
        backbones: backbones in the contests that run a network.
        device: 'cpu' or 'cuda:N'.
        seconds: time limit of the contest 'gpu'.
        source: shards or a VOC tree, for the contest 'heads'; None: drawn images.
        splits: of that contest.
        checkpoints: backbone -> checkpoint trained earlier in this call.
    """

    scratch: Path
    repeats: int = 3
    kind: str = "voc"
    images: int | None = None
    backbones: tuple[str, ...] = BACKBONES
    device: str = "cpu"
    seconds: float = 450.0
    source: Path | None = None
    splits: int = 10
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
        """Images decoded together; on a GPU also the network's batch."""
        return 256 if self.on_gpu else DecodeConfig.batch_size

    @property
    def group(self) -> int:
        """Images per call of the network, as in `score`."""
        return self.batch_size if self.on_gpu else CPU_GROUP

    def image_set(self, number: int) -> ImageSet:
        """A folder of `number` images of the kind, or of as many as `--images` says."""
        number = self.images or number * (_TIMES_ON_GPU if self.on_gpu else 1)
        if (self.kind, number) not in self._made:
            folder = self.scratch / f"{self.kind}-{number}"
            self._made[self.kind, number] = make_images(folder, number=number, kind=self.kind)
        return self._made[self.kind, number]

    def checkpoint(self, backbone: str) -> Checkpoint:
        """A checkpoint, trained on the first call."""
        from bench.checkpoints import make_checkpoint

        if backbone not in self.checkpoints:
            self.checkpoints[backbone] = make_checkpoint(backbone, self.scratch)
        return self.checkpoints[backbone]


@dataclass(frozen=True)
class Contest:
    """One name on the command line.

    The function is 'module:function' in bench; it yields each outcome as soon as it is ready.
    """

    function: str
    help: str
    in_all: bool = True
    """Part of `python -m bench` without a name."""

    def run(self, options: Options) -> Iterator[Outcome]:
        """Import the module and run it; a contest imports only its own libraries."""
        module, _, name = self.function.partition(":")
        function: Callable[[Options], Iterator[Outcome]]
        function = getattr(import_module(f"bench.{module}"), name)
        for outcome in function(options):
            key = {**outcome.key, "device": options.device} if options.on_gpu else outcome.key
            yield replace(outcome, key=key)


CONTESTS = {
    "loaders": Contest("loaders:run", "files to batches on the CPU, beside other loaders"),
    "eighth": Contest(
        "eighth:run", "12 megapixels at 1/8: all that is decoded, or what is used", in_all=False
    ),
    "models": Contest("models:run", "the network alone by precision, and its accuracy"),
    "ceilings": Contest("ceilings:run", "each stage alone: read, decode, batch, write"),
    "score": Contest("score:run", "folder to CSV, beside other loops and the ceilings"),
    "start": Contest("processes:start", "process start to the first scored images"),
    "train": Contest("training:run", "ten epochs of a head, beside the usual loop"),
    "finetune": Contest("finetune:run", "an epoch of every layer, beside the usual loop"),
    "dirty": Contest("loaders:dirty", "the cost of bad files"),
    "raw": Contest("raw:run", "raw shards to batches, beside JPEGs and the disk alone"),
    "pack": Contest("pack:run", "VOC tree to shards, beside tar and decoding once"),
    "heads": Contest("heads:run", "heads and classic methods, over splits", in_all=False),
    "plan": Contest("processes:plan", "what 'plan' predicts, beside real runs", in_all=False),
    "gpu": Contest("gpu:run", "everything about a GPU, in 8 minutes", in_all=False),
    "view": Contest("view:run", "the page over a million rows", in_all=False),
    "cluster": Contest("cluster:run", "workers of a Ray cluster that sleep", in_all=False),
    "remote": Contest("remote:run", "object storage behind 30 ms", in_all=False),
    "cores": Contest("cores:run", "more cores, simulated by sleeping", in_all=False),
    "memory": Contest("memory:per_input", "memory per additional input", in_all=False),
    "large": Contest("memory:large", "memory of large images, by threads", in_all=False),
}
