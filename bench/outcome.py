"""What a contest returns: one value, which is printed, saved and drawn in one place each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.timing import Rate

if TYPE_CHECKING:
    from collections.abc import Mapping

OWN = "vocscore"
"""How the names of the program's own contestants begin."""
_WITH_PEERS = ("loaders", "score", "pack", "models", "train")
_BOUNDS = ("one scoring pass", "import torch")
"""For rows from before `peers` was saved: the contests that had some, and what was none."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One table of a contest.

    Attributes:
        contest: its name on the command line: 'loaders', 'score', ...
        title: what was measured; one line.
        rates: contestant -> what it reached in each repeat, in the order to print.
        unit: of the rates; with 's' less is better.
        peers: contestants of other projects that did the same work in this run.
        ceilings: contestant -> the stage (another of `rates`) that it cannot outrun; its share of
            it is printed beside it.
        absent: contestant that could not run -> the reason, one line.
        key: what tells this outcome from others of its contest (backbone, kind of data set):
            short text values. The report shows the newest row per contest, machine and key.
        facts: agreement figures, sizes, seconds: anything that JSON can hold.
        lines: further sentences to print.
    """

    contest: str
    title: str
    rates: Mapping[str, Rate] = field(default_factory=dict)
    unit: str = "images/s"
    peers: tuple[str, ...] = ()
    ceilings: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    key: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    lines: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names without a rate; otherwise only the report would notice them."""
        named = {*self.peers, *self.ceilings, *self.ceilings.values()}
        if unknown := named - set(self.rates):
            raise ValueError(f"{self.contest}: no rates for {sorted(unknown)}")

    @property
    def best_peer(self) -> str:
        """The fastest of the peers; '' where there are none."""
        best = min if self.unit == "s" else max
        return best(self.peers, key=lambda name: self.rates[name].median, default="")

    def ratio(self, name: str) -> float | None:
        """How many times as fast as the best peer of this run; None where there are no peers."""
        return self._faster(name, self.best_peer) if self.peers else None

    def share(self, name: str) -> float | None:
        """How much of its ceiling a contestant reaches: 0 to 1, and a little more by noise."""
        return self._faster(name, self.ceilings[name]) if name in self.ceilings else None

    def _faster(self, name: str, other: str) -> float:
        quotient = self.rates[name].median / self.rates[other].median
        return 1 / quotient if self.unit == "s" else quotient

    def row(self) -> dict[str, Any]:
        """The raw result as JSON holds it."""
        return {
            "contest": self.contest,
            "title": self.title,
            "key": dict(self.key),
            "unit": self.unit,
            "peers": list(self.peers),
            "rates": {
                name: {"median": rate.median, "values": list(rate.values)}
                for name, rate in self.rates.items()
            },
            "walls": dict(self.ceilings),
            "absent": dict(self.absent),
            "facts": dict(self.facts),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Outcome:
        """Read back what `row` made; `lines` are not saved."""
        same = ("contest", "title", "key", "unit", "absent", "facts")
        return cls(
            rates={name: Rate(tuple(rate["values"])) for name, rate in row["rates"].items()},
            peers=tuple(row["peers"] if "peers" in row else _old_peers(row)),
            ceilings=row["walls"],
            **{name: row[name] for name in same},
        )

    def table(self) -> str:
        """Median, spread, ratio to the best peer and share of the ceiling, as aligned text."""
        width = max(34, *map(len, self.rates)) if self.rates else 34
        peers = "x best peer" if self.peers else ""
        share_of = "share of its ceiling" if self.ceilings else ""
        lines = [f"{'':{width}s} {self.unit:>9s}  spread  {peers:11s}  {share_of}"]
        for name, rate in self.rates.items():
            ratio, share = self.ratio(name), self.share(name)
            lines.append(
                f"{name:{width}s} {rate.median:9.1f}  {rate.spread:6.0%}  "
                + (f"{ratio:11.2f}  " if ratio is not None else " " * 13)
                + (f"{share:.0%} of {self.ceilings[name]}" if share is not None else "")
            )
        lines += [f"{name:{width}s} absent: {why}" for name, why in self.absent.items()]
        if self.peers:
            lines.append(f"best peer of this run: {self.best_peer}")
        return "\n".join(line.rstrip() for line in lines)

    def text(self) -> str:
        """All of it, to print."""
        parts = [self.title]
        if self.rates or self.absent:
            parts.append(self.table())
        return "\n".join([*parts, *self.lines])


def held(reached: bool) -> str:
    """How a goal is reported."""
    return "held" if reached else "MISSED"


def _old_peers(row: Mapping[str, Any]) -> list[str]:
    """The peers of a row that was saved before rows named them."""
    if row["contest"] not in _WITH_PEERS:
        return []
    others = {*row["walls"].values(), *_BOUNDS}
    return [n for n in row["rates"] if not (n.startswith(OWN) or "ceiling" in n or n in others)]
