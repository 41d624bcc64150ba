"""accuracy.md, accuracy.csv and accuracy.json: the same figures for people and for programs."""

from __future__ import annotations

import csv
import io
import json
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from bench.accuracy.figures import AVERAGES, MEANS, RATIOS, comparisons, flat, groups, spread
from bench.accuracy.published import COMPARED, IMAGES, PUBLISHED
from shards import atomic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.accuracy.runs import Result

NAMES: Final = {"iou": "IoU", "precision": "precision", "recall": "recall", "f1": "F1"}
Row = dict[str, Any]

NOTES: Final = """\
- *published*: AlexNet, ResNet-18 and GoogLeNet with frozen ImageNet backbones on VOC 2007; 10
  epochs, batch 20, SGD 0.01 with momentum 0.9, 256x256, threshold 0.5.
- The publication does not say how it averages. *here* is `samples`: each image's figure, averaged
  over images. The other averages stand below.
- Its column F1 repeats its column recall digit for digit, which no definition of F1 gives with
  these precisions. It is taken for a slip and left out.
"""


def write_tables(
    results: Sequence[Result], out: Path, *, options: Sequence[str], environment: Row
) -> str:
    """Write the three files into the experiment's folder.

    Args:
        results: at least one.
        out: the folder.
        options: words for `vocscore train` that went before the recipes.
        environment: machine and versions, for the JSON.

    Returns:
        The Markdown.
    """
    rows = [flat(result) for result in results]
    text = markdown(rows, options)
    atomic.write(out / "accuracy.md", text.encode())
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic.write(out / "accuracy.csv", table.getvalue().encode())
    atomic.write(
        out / "accuracy.json",
        (json.dumps(as_json(rows, results, environment), indent=2) + "\n").encode(),
    )
    return text


def as_json(rows: Sequence[Row], results: Sequence[Result], environment: Row) -> Row:
    """Everything: the rows of the CSV, with the settings and all figures of each training."""
    full = [
        {**row, "config": result.config, "metrics": result.metrics}
        for row, result in zip(rows, results, strict=True)
    ]
    return {
        "published": PUBLISHED,
        "published_images": IMAGES,
        "runs": full,
        "comparisons": [{**asdict(c), "wins": c.wins} for c in comparisons(rows)],
        "environment": environment,
    }


def markdown(rows: Sequence[Row], options: Sequence[str]) -> str:
    """The page for people."""
    parts = [
        "# Accuracy",
        _conditions(rows, options),
        "## Beside the published experiment",
        beside_published(rows),
        NOTES.rstrip("\n"),
        "## Every average",
        every_average(rows),
    ]
    if compared := comparisons(rows):
        sentences = "\n".join(f"- {one.text()}" for one in compared)
        parts += ["## Recipes", by_recipe(rows), sentences]
    parts += ["## Curves", "\n".join(_curves(row) for row in rows)]
    return "\n\n".join(parts) + "\n"


def _conditions(rows: Sequence[Row], options: Sequence[str]) -> str:
    """What was trained on, what judges, and what that means for the comparison."""
    seeds = len({row["seed"] for row in rows})
    first = rows[0]
    many = f"{seeds} seeds: mean ± standard deviation of one." if seeds > 1 else "One seed."
    weights = dict.fromkeys(row["weights"] for row in rows)
    images = (
        f"Trained on '{first['train_split']}' ({first['train_images']} images), judged on "
        f"'{first['judged_on']}' ({first['judged_images']})."
    )
    lines = [f"{images} Weights: {', '.join(weights)}. {many}"]
    if options:
        lines.append(f"Beside the recipes: `{shlex.join(options)}`.")
    if (first["train_images"], first["judged_images"]) != tuple(IMAGES.values()):
        lines.append(
            f"**These are not the images of the publication** (VOC 2007: {IMAGES['train']} and "
            f"{IMAGES['val']}): its figures stand here for orientation only."
        )
    choosing = sorted({row["recipe"] for row in rows if row["chosen_by_judge"]})
    if choosing:
        lines.append(
            f"**Flattered**: {', '.join(choosing)} chose an epoch, thresholds or a temperature by "
            f"the images that judge."
        )
    return "\n\n".join(lines)


def beside_published(rows: Sequence[Row]) -> str:
    """IoU, precision and recall, published and here (averaged over images), and mAP."""
    heads = [f"{NAMES[name]}, {who}" for name in COMPARED for who in ("published", "here")]
    lines = [_line(["backbone", "recipe", *heads, "mAP, here"]), _rule(2, len(heads) + 1)]
    for (backbone, recipe), its in groups(rows).items():
        published = PUBLISHED.get(backbone)
        cells = []
        for name in COMPARED:
            cells += [f"{published[name]:.3f}" if published else "", _cell(its, f"samples_{name}")]
        lines.append(_line([backbone, recipe, *cells, _cell(its, MEANS[0])]))
    return "\n".join(lines)


def every_average(rows: Sequence[Row]) -> str:
    """IoU, precision, recall and F1 in the three averages, and mAP in the three conventions."""
    heads = ["backbone", "recipe", "average", *NAMES.values()]
    lines = [_line(heads), _rule(3, len(RATIOS))]
    for (backbone, recipe), its in groups(rows).items():
        for average in AVERAGES:
            cells = [_cell(its, f"{average}_{ratio}") for ratio in RATIOS]
            lines.append(_line([backbone, recipe, average, *cells]))
    lines += [
        "",
        _line(["backbone", "recipe", "mAP", "11 points (VOC 2007)", "VOC 2010", "chance"]),
    ]
    lines.append(_rule(2, len(MEANS) + 1))
    for (backbone, recipe), its in groups(rows).items():
        lines.append(_line([backbone, recipe, *(_cell(its, name) for name in (*MEANS, "chance"))]))
    return "\n".join(lines)


def by_recipe(rows: Sequence[Row]) -> str:
    """The mAP of each recipe, with its spread over the seeds."""
    heads = [
        "backbone",
        "recipe",
        "seeds",
        "mAP, mean",
        "standard deviation",
        "smallest to largest",
    ]
    lines = [_line(heads), _rule(2, len(heads) - 2)]
    for (backbone, recipe), its in groups(rows).items():
        found = spread(its, MEANS[0])
        if found is not None:
            cells = [f"{len(its)}", f"{found.mean:.3f}", f"{found.deviation:.3f}"]
            cells.append(f"{min(found.values):.3f} to {max(found.values):.3f}")
            lines.append(_line([backbone, recipe, *cells]))
    return "\n".join(lines)


def _cell(rows: Sequence[Row], figure: str) -> str:
    found = spread(rows, figure)
    return "-" if found is None else found.text()


def _curves(row: Row) -> str:
    return f"- [{row['backbone']}, {row['recipe']}, seed {row['seed']}]({row['curves']})"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(texts: int, numbers: int) -> str:
    return "|" + "---|" * texts + "---:|" * numbers
