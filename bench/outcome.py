"""The result of a contest: one value that is printed, saved and drawn in one place each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.timing import Rate

if TYPE_CHECKING:
    from collections.abc import Mapping

OWN = "vocscore"
"""Prefix of the names of vocscore's own contestants."""
_WITH_PEERS = ("loaders", "score", "pack", "models", "train")
_BOUNDS = ("one scoring pass", "import torch")
"""For rows saved before `peers` was: contests that had peers, and rates that are not peers."""
HEADINGS = ("spread", "x best peer", "share of its ceiling")
_SAVED = ("contest", "title", "key", "unit", "absent", "facts")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One table of a contest.

    Attributes:
        contest: its name on the command line: 'loaders', 'score', ...
        title: what was measured; one line.
        rates: contestant -> its value in each repeat, in the order to print.
        unit: unit of the rates; with 's' less is better.
        peers: contestants of other projects that did the same work in this run.
        ceilings: contestant -> the stage (another of `rates`) that bounds it; its share of that
            is printed with it.
        absent: contestant that could not run -> the reason, one line.
        key: short text values that distinguish the outcomes of a contest (backbone, kind of
            images). The report shows the newest row per contest, machine and key.
        facts: agreement figures, sizes, seconds: any JSON values.
        lines: more sentences to print; they are not saved.
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
        """Reject names without a rate; otherwise only the report would notice them."""
        named = {*self.peers, *self.ceilings, *self.ceilings.values()}
        if unknown := named - set(self.rates):
            raise ValueError(f"{self.contest}: no rates for {sorted(unknown)}")

    @property
    def best_peer(self) -> str:
        """The fastest peer; '' if there are none."""
        best = min if self.unit == "s" else max
        return best(self.peers, key=lambda name: self.rates[name].median, default="")

    def ratio(self, name: str) -> float | None:
        """How many times as fast as the best peer of this run; None without peers."""
        return self._faster(name, self.best_peer) if self.peers else None

    def share(self, name: str) -> float | None:
        """Share of its ceiling that a contestant reaches: 0 to 1, or a little more by noise."""
        return self._faster(name, self.ceilings[name]) if name in self.ceilings else None

    def _faster(self, name: str, other: str) -> float:
        quotient = self.rates[name].median / self.rates[other].median
        return 1 / quotient if self.unit == "s" else quotient

    def row(self) -> dict[str, Any]:
        """The result as JSON values; 'walls' are the ceilings."""
        rates = {
            name: {"median": rate.median, "values": list(rate.values)}
            for name, rate in self.rates.items()
        }
        saved = {name: getattr(self, name) for name in _SAVED}
        return {**saved, "peers": list(self.peers), "rates": rates, "walls": self.ceilings}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Outcome:
        """The inverse of `row`, without `lines`."""
        return cls(
            rates={name: Rate(tuple(rate["values"])) for name, rate in row["rates"].items()},
            peers=tuple(row["peers"] if "peers" in row else _old_peers(row)),
            ceilings=row["walls"],
            **{name: row[name] for name in _SAVED},
        )

    def cells(self) -> list[tuple[str, ...]]:
        """Rows of a table: name, median, spread, ratio to the best peer, share of the ceiling."""
        rows: list[tuple[str, ...]] = []
        for name, rate in self.rates.items():
            ratio, share = self.ratio(name), self.share(name)
            of = ""
            if share is not None:
                ceiling = self.ceilings[name]
                of = f"{share:.0%} of {ceiling} ({figure(self.rates[ceiling].median)})"
            beside = "" if ratio is None else f"{ratio:.2f}"
            rows.append((name, figure(rate.median), f"{rate.spread:.0%}", beside, of))
        return rows

    def text(self) -> str:
        """Title, table in aligned columns, and sentences."""
        rows = [("", self.unit, *HEADINGS), *self.cells()] if self.rates else []
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = []
        for name, *figures, of in rows:
            aligned = [one.rjust(width) for one, width in zip(figures, widths[1:], strict=False)]
            table.append("  ".join([name.ljust(widths[0]), *aligned, of]).rstrip())
        table += [f"{name}: absent: {why}" for name, why in self.absent.items()]
        if self.peers:
            table.append(f"best peer of this run: {self.best_peer}")
        return "\n".join([self.title, *table, *self.lines])


def figure(value: float) -> str:
    """A number with at least three digits."""
    return f"{value:,.{0 if value >= 1000 else 1 if value >= 10 else 2}f}"


def held(reached: bool) -> str:
    """The word that reports a goal."""
    return "held" if reached else "MISSED"


def _old_peers(row: Mapping[str, Any]) -> list[str]:
    """Peers of a row that was saved before rows named them."""
    if row["contest"] not in _WITH_PEERS:
        return []
    others = {*row["walls"].values(), *_BOUNDS}
    return [n for n in row["rates"] if not (n.startswith(OWN) or "ceiling" in n or n in others)]
