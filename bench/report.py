"""`python -m bench report`: docs/benchmarks.md, the chart and its caption, from the saved rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.outcome import OWN, Outcome
from bench.results import DIRTY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT = Path(__file__).parents[1]
README, PAGE, CHART = (
    ROOT / name for name in ("README.md", "docs/benchmarks.md", "docs/bench.png")
)
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"
DEFAULT, HOST = "vocscore score, default", "vocscore, host"
ORDER = (
    "score",
    "loaders",
    "models",
    "train",
    "finetune",
    "pack",
    "raw",
    "dirty",
    "start",
    "ceilings",
)
"""Contests on the page, in this order; others follow by name."""

OURS, THEIRS, TEXT = "#1f6f8b", "#bdbdbd", "#333333"
INSTRUCTIONS = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512", "avx512f": "AVX-512", "avx2": "AVX2"}
"""Flag of a processor -> the name of its instructions; the widest first."""
LOADED = {
    "voc": "loading alone",
    "mosaic": "loading 12-megapixel JPEGs",
    "progressive": "progressive ones",
}
"""Kind of images -> its words in the caption."""
NAMES = {"alexnet": "AlexNet", "resnet18": "ResNet-18", "googlenet": "GoogLeNet"}
_WIDTH_INCHES, _HEIGHT_INCHES, _DPI = 7.6, 2.7, 200
_BAR, _FIGURES = 0.38, 0.28
"""Height of a bar; width of the figures behind it, in multiples of the longest bar of one panel."""

Row = dict[str, Any]


def read_rows(folder: Path) -> list[Row]:
    """Every row that can be shown, oldest first within a contest.

    Left out: rows without rates, rows older than `Outcome`, and rows of uncommitted code.
    """
    files = sorted(folder.glob("*.jsonl"))
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [row for row in rows if row.get("rates") and "contest" in row and _is_clean(row)]


def _is_clean(row: Row) -> bool:
    commit = row["environment"]["commit"]
    return bool(commit) and not commit.endswith(DIRTY)


def newest(rows: Iterable[Row]) -> list[Row]:
    """The last row of each contest, machine and key, in the order of the page."""
    found: dict[tuple[str, ...], Row] = {}
    for row in rows:
        key = (row["contest"], machine(row), json.dumps(row["key"], sort_keys=True))
        found.pop(key, None)  # a newer one goes to the end
        found[key] = row
    places = {contest: place for place, contest in enumerate(ORDER)}
    return sorted(
        found.values(), key=lambda row: (places.get(row["contest"], len(ORDER)), row["contest"])
    )


def machine(row: Row) -> str:
    """Processor, cores, GPU."""
    environment: Mapping[str, Any] = row["environment"]
    gpu = f", {environment['gpu']}" if environment["gpu"] else ""
    return f"{environment['processor']}, {environment['cores']} cores{gpu}"


def short_machine(row: Row) -> str:
    """The processor's short name and its instructions, and the cores."""
    processor, cores = row["environment"]["processor"], row["environment"]["cores"]
    name, _, flags = processor.partition(" (")
    name = name.replace("(R)", "").replace(" Processor", "")
    words = [word for flag, word in INSTRUCTIONS.items() if flag in flags]
    return f"{name}{f' ({words[0]})' if words else ''}, {cores} cores"


def default_precision(row: Row) -> str:
    """The precision of `auto` on a machine for models that are not quantized."""
    return "bf16" if "bf16" in row["environment"]["processor"] else "float32"


def by_machine(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each machine, the most recently measured machine first."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(machine(row), []).append(row)
    dates = {name: max(row["environment"].get("date", "") for row in found[name]) for name in found}
    return {name: found[name] for name in sorted(found, key=lambda name: dates[name], reverse=True)}


def beside_best(
    rows: Iterable[Row], contest: str, own: str, *, kind: str = "voc"
) -> list[tuple[Row, Outcome]]:
    """The outcomes of a contest on a kind of images that have `own` and at least one peer."""
    usual = [row for row in rows if row["contest"] == contest and row["key"].get("kind") == kind]
    pairs = [(row, Outcome.from_row(row)) for row in usual]
    return [(row, one) for row, one in pairs if one.peers and own in one.rates]


def caption(rows: Sequence[Row]) -> str:
    """The README's text under the chart: ratios to the best peer of each run."""
    parts = []
    if default := _range(rows, DEFAULT):
        text = (
            f"**{default} times the best peer of the same run** from folder to CSV on 2 CPU cores"
        )
        text += ", with the default precision (bf16 where the processor has it) beside PyTorch "
        text += "loops in eager float32"
        same = _range(rows, "vocscore score, float32")
        parts.append(text + (f"; {same} times in float32" if same else "") + "; random weights")
    for kind, words in LOADED.items():
        if loaders := [
            f"{one.ratio(HOST):.2f} times {one.best_peer} on {short_machine(row)}"
            for row, one in beside_best(rows, "loaders", HOST, kind=kind)
        ]:
            parts.append(f"{words}: {', '.join(loaders)}")
    return "; ".join(parts) + "."


def _range(rows: Sequence[Row], own: str) -> str:
    ratios = [one.ratio(own) or 0.0 for _, one in beside_best(rows, "score", own)]
    return f"{min(ratios):.1f} to {max(ratios):.1f}" if ratios else ""


def tables(rows: Sequence[Row]) -> str:
    """A heading per machine, and a table per row; old rows get today's words."""
    parts = []
    for name, its in by_machine(rows).items():
        parts.append(f"## {name}")
        parts += [_table(Outcome.from_row(row), row["environment"]) for row in its]
    text = "\n\n".join(parts)
    for old, new in (("pictures", "images"), ("normalised", "normalized"), ("maker", "loader")):
        text = text.replace(old, new)
    return text


def _table(outcome: Outcome, environment: Mapping[str, Any]) -> str:
    kind = outcome.key.get("kind", "voc")
    named = [str(outcome.facts[n]) for n in ("pictures", "weights") if n in outcome.facts]
    origin = [f"commit {environment['commit']}", environment.get("date", "")]
    best = f"; best peer: {outcome.best_peer}" if outcome.peers else ""
    lines = [
        f"### {outcome.title}" + ("" if kind == "voc" else f" ({kind})"),
        "",
        f"{'; '.join([*named, *filter(None, origin)])}{best}.",
        "",
        f"| | {outcome.unit} | spread | x best peer | share of its ceiling |",
        "|---|---:|---:|---:|---|",
        *(_line(name, outcome) for name in outcome.rates),
        *(f"| {_cell(n)} | | | | absent: {_cell(why)} |" for n, why in outcome.absent.items()),
    ]
    return "\n".join(lines)


def _line(name: str, outcome: Outcome) -> str:
    rate, ratio, share = outcome.rates[name], outcome.ratio(name), outcome.share(name)
    ceiling = outcome.ceilings.get(name, "")
    cells = (
        f"**{_cell(name)}**" if name.startswith(OWN) else _cell(name),
        figure(rate.median),
        f"{rate.spread:.0%}",
        "" if ratio is None else f"{ratio:.2f}",
        ""
        if share is None
        else f"{share:.0%} of {_cell(ceiling)} ({figure(outcome.rates[ceiling].median)})",
    )
    return f"| {' | '.join(cells)} |"


def figure(value: float) -> str:
    """A number with at least three digits."""
    return f"{value:,.{0 if value >= 1000 else 1 if value >= 10 else 2}f}"


def _cell(text: str) -> str:
    """Text that is safe in a table cell."""
    return " ".join(text.replace("|", "\\|").split())


def between_markers(text: str, part: str) -> str:
    """Replace what is between the markers.

    Raises:
        ValueError: the markers are not both there, in order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"a file for the report needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{part}\n{END}{after}"


def draw(panels: Mapping[str, Sequence[Outcome]], file: Path) -> None:
    """Draw a PNG with a panel per machine: 'score' beside its best peer, per backbone.

    Equal outcomes give equal bytes.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import Patch

    size = (_WIDTH_INCHES, _HEIGHT_INCHES)
    figure, axes = plt.subplots(
        1, max(1, len(panels)), figsize=size, squeeze=False, layout="constrained"
    )
    networks = max(map(len, panels.values()), default=1)
    for axis, (machine, bars) in zip(axes[0], panels.items(), strict=False):
        _panel(axis, machine, bars, room=1 + _FIGURES * len(panels))
        axis.set_ylim(networks - 0.5, -0.5)  # bars of one height, the first network on top
    handles = [Patch(color=color) for color in (OURS, THEIRS)]
    names = ["vocscore score, default", "best other program in the same run (float32)"]
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    figure.suptitle("Images per second, from a folder of JPEGs to a CSV of predictions", fontsize=9)
    # no date and no version in the file
    figure.savefig(file, dpi=_DPI, metadata={"Software": None})
    plt.close(figure)


def _panel(axis: Any, machine: str, bars: Sequence[Outcome], *, room: float) -> None:
    top = max(one.rates[DEFAULT].median for one in bars)
    for place, one in enumerate(bars):
        ours, theirs = one.rates[DEFAULT].median, one.rates[one.best_peer].median
        axis.barh(place - _BAR / 2, ours, height=_BAR, color=OURS)
        axis.barh(place + _BAR / 2, theirs, height=_BAR, color=THEIRS)
        ratio = f" {ours:,.0f}  ({one.ratio(DEFAULT):.1f}x)"
        kwargs = {"va": "center", "fontsize": 8, "color": TEXT}
        axis.text(ours, place - _BAR / 2, ratio, fontweight="bold", **kwargs)
        axis.text(theirs, place + _BAR / 2, f" {theirs:,.0f}", **kwargs)
    axis.set_yticks(
        range(len(bars)),
        [NAMES.get(one.key["backbone"], one.key["backbone"]) for one in bars],
        fontsize=8,
    )
    axis.set_xlim(0, top * room)
    axis.set_title(machine, fontsize=8, color=TEXT)
    axis.tick_params(axis="y", length=0)
    axis.xaxis.set_visible(False)
    axis.spines[["top", "right", "bottom"]].set_visible(False)


def write_report(
    results: Path, *, readme: Path = README, page: Path = PAGE, chart: Path = CHART
) -> str:
    """Write the caption, the tables and the chart; return a line that says so."""
    rows = newest(read_rows(results))
    for file, part in ((readme, caption(rows)), (page, tables(rows))):
        file.write_text(between_markers(file.read_text(), part))
    panels = {
        f"{short_machine(its[0])}\n{default_precision(its[0])}": [
            one for _, one in beside_best(its, "score", DEFAULT)
        ]
        for its in by_machine(rows).values()
    }
    draw({name: bars for name, bars in panels.items() if bars}, chart)
    return f"written from {len(rows)} rows: {readme}, {page}, {chart}"
