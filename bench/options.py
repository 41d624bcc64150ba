"""What the person asked of a contest, and the pictures that it runs on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bench.pictures import Pictures, make_pictures

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
        kind: of the pictures, one of `bench.pictures.KINDS`.
        pictures: a repeat; None for what each contest takes by itself.
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
    pictures: int | None = None
    backbones: tuple[str, ...] = BACKBONES
    inputs: tuple[int, ...] = ()
    listed: int = 0
    device: str = "cuda:0"
    seconds: float = 450.0
    quick: bool = False
    _made: dict[int, Pictures] = field(default_factory=dict, repr=False)

    def some(self, *, pictures: int) -> Pictures:
        """Pictures of the asked kind, in a folder; so many where the person has not said."""
        number = self.pictures or pictures
        if number not in self._made:
            folder = self.scratch / f"{self.kind}-{number}"
            self._made[number] = make_pictures(folder, pictures=number, kind=self.kind)
        return self._made[number]

    def noted(self, outcome: Outcome, pictures: Pictures) -> Outcome:
        """The outcome with what it was measured on."""
        return replace(
            outcome,
            key={"kind": pictures.kind, **outcome.key},
            facts={"pictures": pictures.made_of, **outcome.facts},
        )
