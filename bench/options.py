"""What the person asked of a contest, and the images that it runs on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bench.images import Images, make_images

if TYPE_CHECKING:
    from pathlib import Path

    from bench.outcome import Outcome

BACKBONES = ("alexnet", "resnet18", "googlenet")


@dataclass(frozen=True, kw_only=True)
class Options:
    """One call of `python -m bench`.

    Attributes:
        scratch: a folder that is removed at the end; a contest may make folders of its own in it.
        repeats: counted rounds.
        kind: of the images, one of `bench.images.KINDS`.
        images: a repeat; None for what each contest takes by itself.
        backbones: of the contests that run a network.
        inputs: of each run of the contest 'memory'.
        listed: files that the contest 'memory' lists.
        device: of the contest 'gpu': 'cuda:N', or 'cpu' to try it out.
        seconds: that the contest 'gpu' may take.
        quick: smaller sweeps in the contest 'gpu'.
    """

    scratch: Path
    repeats: int = 3
    kind: str = "voc"
    images: int | None = None
    backbones: tuple[str, ...] = BACKBONES
    inputs: tuple[int, ...] = ()
    listed: int = 0
    device: str = "cuda:0"
    seconds: float = 450.0
    quick: bool = False
    _made: dict[int, Images] = field(default_factory=dict, repr=False)

    def some(self, *, images: int) -> Images:
        """Images of the asked kind, in a folder; so many where the person has not said."""
        number = self.images or images
        if number not in self._made:
            folder = self.scratch / f"{self.kind}-{number}"
            self._made[number] = make_images(folder, images=number, kind=self.kind)
        return self._made[number]

    def noted(self, outcome: Outcome, images: Images) -> Outcome:
        """The outcome with what it was measured on."""
        return replace(
            outcome,
            key={"kind": images.kind, **outcome.key},
            facts={"pictures": images.made_of, **outcome.facts},
        )
