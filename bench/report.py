"""`python -m bench report`: the README's tables and chart, from the rows in `bench/results/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.chart import draw
from bench.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGE = ROOT / "docs" / "benchmarks.md"
CHART = ROOT / "docs" / "bench.png"
BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"
DRAWN = ("loaders", "score", "train", "pack", "gpu")
"""Contests with panels in the chart, in this order: those with peers."""
ORDER = (*DRAWN, "start", "models", "ceilings")
"""Contests on the pages, in this order; further ones follow by name."""
IN_README = (*DRAWN, "start")
"""Contests with lines in the README; the others are on the page."""
OURS = "vocscore"
"""How the names of the program's own contestants begin: these are in the README."""
PAGE_HEAD = """# Benchmarks

Written by `make report` from the rows in `bench/results/`, which `python -m bench` appends; not
edited by hand. Each table is one run: contestants were first proved to do the same work, then
took turns; the figure is the median of the turns, the spread is (largest - smallest) / median.
A ceiling is a stage measured alone in the same run.
"""

Row = dict[str, Any]


def read_rows(folder: Path) -> list[Row]:
    """Every row of every contest, oldest first within a contest.

    Rows that were written before there was an `Outcome` have no contest in them and are left out.
    """
    files = sorted(folder.glob("*.jsonl"))
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [row for row in rows if "contest" in row]


def newest(rows: Iterable[Row]) -> list[Row]:
    """The last row of each contest, machine and key, in the order of the README."""
    found: dict[tuple[str, ...], Row] = {}
    for row in rows:
        key = (row["contest"], machine(row["environment"]), json.dumps(row["key"], sort_keys=True))
        found.pop(key, None)  # a newer one goes to the end
        found[key] = row
    return sorted(found.values(), key=lambda row: (_place(row["contest"]), row["contest"]))


def _place(contest: str) -> int:
    return ORDER.index(contest) if contest in ORDER else len(ORDER)


def machine(environment: Mapping[str, Any]) -> str:
    """What was measured on, for a person."""
    gpu = f", {environment['gpu']}" if environment["gpu"] else ""
    return f"{environment['processor']}, {environment['cores']} cores{gpu}"


def summary(rows: Sequence[Row]) -> str:
    """The README's part: a table a machine, lines for the program's own contestants.

    The machine that was measured last comes first, and has the chart.
    """
    parts = ["![rates, ratios and shares of the ceilings](docs/bench.png)"] if drawn(rows) else []
    for name in _machines(rows):
        lines = [
            line
            for row in rows
            if machine(row["environment"]) == name and row["contest"] in IN_README
            for line in _own_lines(Outcome.from_row(row), row["environment"])
        ]
        if lines:
            parts.append("\n".join([f"{name}:", "", *SUMMARY_HEAD, *lines]))
    return "\n\n".join(parts)


def _machines(rows: Iterable[Row]) -> list[str]:
    """Those that there are rows of, the one that was measured last first."""
    last: dict[str, str] = {}
    for row in rows:
        name, date = machine(row["environment"]), row["environment"].get("date", "")
        last[name] = max(date, last.get(name, ""))
    return sorted(last, key=lambda name: last[name], reverse=True)


SUMMARY_HEAD = (
    "| | rate | beside | share of its ceiling |",
    "|---|---:|---|---|",
)


def _own_lines(outcome: Outcome, environment: Mapping[str, Any]) -> list[str]:
    """A line for the contest, with the commit, and one for each of our contestants."""
    lines = []
    for name in outcome.rates:
        if not name.startswith(OURS):
            continue
        ratio = outcome.ratio(name)
        beside = "" if ratio is None else f"{ratio:.2f} x {_cell(outcome.baseline)}"
        cells = (
            name,
            f"{figure(outcome.rates[name].median)} {outcome.unit}",
            "" if name == outcome.baseline else beside,
            _share(name, outcome),
        )
        lines.append(f"| {' | '.join(cells)} |")
    title = f"**{_cell(_titled(outcome))}** (at {environment['commit']})"
    return [f"| {title} | | | |", *lines] if lines else []


def _titled(outcome: Outcome) -> str:
    """The title, with the kind of the images where it is not the usual one."""
    kind = outcome.key.get("kind", "voc")
    return outcome.title + ("" if kind == "voc" else f" ({kind})")


def _share(name: str, outcome: Outcome) -> str:
    share = outcome.share(name)
    if share is None:
        return ""
    wall = outcome.walls[name]
    return f"{share:.0%} of {_cell(wall)} ({figure(outcome.rates[wall].median)})"


def figure(value: float) -> str:
    """Three digits or more."""
    return f"{value:,.{0 if value >= 1000 else 1 if value >= 10 else 2}f}"


def tables(rows: Sequence[Row]) -> str:
    """The page of all tables; rows without rates have nothing to show in one."""
    found = [_table(Outcome.from_row(row), row["environment"]) for row in rows if row["rates"]]
    return "\n".join([PAGE_HEAD, "\n\n".join(found), ""])


def _table(outcome: Outcome, environment: Mapping[str, Any]) -> str:
    origin = [machine(environment), f"commit {environment['commit']}"]
    origin += [environment["date"]] if "date" in environment else []
    facts = outcome.facts
    lines = [
        f"## {_titled(outcome)}",
        "",
        *(f"{facts[name]}.\n" for name in ("pictures", "weights", "usual_loop") if name in facts),
        f"| | {outcome.unit} | spread | ratio | share of its ceiling |",
        "|---|---:|---:|---:|---|",
        *(_line(name, outcome) for name in outcome.rates),
        *(f"| {_cell(n)} | | | | absent: {_cell(why)} |" for n, why in outcome.absent.items()),
        "",
        "; ".join(origin) + ".",
    ]
    return "\n".join(lines)


def _line(name: str, outcome: Outcome) -> str:
    rate, ratio = outcome.rates[name], outcome.ratio(name)
    cells = (
        f"**{_cell(name)}**" if name.startswith(OURS) else _cell(name),
        figure(rate.median),
        f"{rate.spread:.0%}",
        "" if ratio is None else f"{ratio:.2f}",
        _share(name, outcome),
    )
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """Text that cannot end a cell or a line."""
    return " ".join(text.replace("|", "\\|").split())


def between_markers(text: str, part: str) -> str:
    """The README with the part in its place.

    Raises:
        ValueError: the markers are not both there, in order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the README needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{part}\n{END}{after}"


def drawn(rows: Sequence[Row]) -> list[Outcome]:
    """What has a panel in the chart: contests with peers, on the usual images.

    Of the machine that was measured last: bars of two machines are not to be compared.
    """
    name = next(iter(_machines(rows)), None)
    outcomes = [
        Outcome.from_row(row)
        for row in rows
        if row["contest"] in DRAWN and row["rates"] and machine(row["environment"]) == name
    ]
    return [one for one in outcomes if one.baseline and one.key.get("kind", "voc") == "voc"]


def write_report(
    results: Path, *, readme: Path = README, page: Path = PAGE, chart: Path = CHART
) -> str:
    """Write the README's part, the page of all tables, and the chart.

    Args:
        results: folder of rows.
        readme: a file with the markers.
        page: replaced.
        chart: a PNG, replaced.

    Returns:
        A line on what was done.
    """
    rows = newest(read_rows(results))
    readme.write_text(between_markers(readme.read_text(), summary(rows)))
    page.write_text(tables(rows))
    if outcomes := drawn(rows):
        draw(outcomes, chart, title=_machines(rows)[0])
    return f"written from {len(rows)} rows: {readme}, {page}, {chart}"
