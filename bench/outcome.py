"""What a contest returns: one value that is printed, saved and drawn in one place each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.timing import Rate


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One table of a contest.

    Attributes:
        contest: its name on the command line: 'loaders', 'score', ...
        title: what was measured, for a person; one line.
        rates: contestant -> what it reached in each repeat, in the order to print.
        unit: of the rates.
        baseline: the contestant that ratios are taken to; '' for none.
        walls: contestant -> the ceiling (another of `rates`) that it cannot exceed; its share of it
            is printed beside it.
        absent: contestant that could not run -> the reason, one line.
        key: what tells this outcome from others of its contest (backbone, kind of images):
            short text values. The newest outcome of a contest, machine and key is what the README
            shows.
        facts: agreement figures, sizes, seconds: anything that JSON can hold.
        lines: further sentences for a person.
    """

    contest: str
    title: str
    rates: Mapping[str, Rate] = field(default_factory=dict)
    unit: str = "images/s"
    baseline: str = ""
    walls: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    key: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    lines: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """A name that stands for no contestant would only be noticed in the report."""
        named = {*self.walls, *self.walls.values(), *([self.baseline] if self.baseline else [])}
        if unknown := named - set(self.rates):
            raise ValueError(f"{self.contest}: no rates for {sorted(unknown)}")

    def ratio(self, name: str) -> float | None:
        """The median of a contestant over the baseline's."""
        if not self.baseline:
            return None
        return self.rates[name].median / self.rates[self.baseline].median

    def share(self, name: str) -> float | None:
        """How much of its wall a contestant reaches, 0 to 1 and a little more by noise."""
        if name not in self.walls:
            return None
        return self.rates[name].median / self.rates[self.walls[name]].median

    def row(self) -> dict[str, Any]:
        """The raw result as JSON holds it."""
        return {
            "contest": self.contest,
            "title": self.title,
            "key": dict(self.key),
            "unit": self.unit,
            "baseline": self.baseline,
            "rates": {
                name: {"median": rate.median, "values": list(rate.values)}
                for name, rate in self.rates.items()
            },
            "walls": dict(self.walls),
            "absent": dict(self.absent),
            "facts": dict(self.facts),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Outcome:
        """Read back what `row` made; `lines` are not kept."""
        from bench.timing import Rate

        rates = {name: Rate(tuple(rate["values"])) for name, rate in row["rates"].items()}
        kept = ("contest", "title", "key", "unit", "baseline", "walls", "absent", "facts")
        return cls(rates=rates, **{name: row[name] for name in kept})

    def table(self) -> str:
        """Median, spread, ratio to the baseline and share of the wall, as aligned text."""
        width = max(34, *map(len, self.rates)) if self.rates else 34
        lines = [f"{'':{width}s} {self.unit:>9s}  spread  ratio  share of its wall"]
        for name, rate in self.rates.items():
            ratio, share = self.ratio(name), self.share(name)
            lines.append(
                f"{name:{width}s} {rate.median:9.1f}  {rate.spread:6.0%}  "
                + (f"{ratio:5.2f}  " if ratio is not None else " " * 7)
                + (f"{share:.0%} of {self.walls[name]}" if share is not None else "")
            )
        lines += [f"{name:{width}s} absent: {why}" for name, why in self.absent.items()]
        return "\n".join(line.rstrip() for line in lines)

    def text(self) -> str:
        """All of it for a person."""
        parts = [self.title]
        if self.rates or self.absent:
            parts.append(self.table())
        return "\n".join([*parts, *self.lines])
