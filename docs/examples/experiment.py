"""The published experiment, or any comparison of backbones and recipes over several seeds.

    python docs/examples/experiment.py VOCdevkit/VOC2007 -o experiment
    python docs/examples/experiment.py photos/ -o experiment --recipes baseline strong --seeds 5

Rerun the same command to resume: a finished training is read, not repeated. See docs/experiment.md.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import vocscore as vs

PUBLISHED = {  # IoU, precision, recall on VOC 2007; docs/experiment.md says what is known of them
    "alexnet": (0.579, 0.698, 0.626),
    "resnet18": (0.687, 0.808, 0.722),
    "googlenet": (0.596, 0.719, 0.613),
}
RATIOS = ("iou", "precision", "recall")


def pack(source: Path, out: Path, seed: int) -> Path:
    """Pack once, or once per seed where no lists of the source decide the split."""
    first = out / "shards"
    if (source / "dataset.json").is_file():
        return source
    if not (first / "dataset.json").is_file():
        vs.pack(source, first, seed=seed)
    rule = json.loads((first / "dataset.json").read_text())["config"]
    if rule["split"] != "ratio" or rule["seed"] == seed:
        return first
    own = out / f"shards-{seed}"
    if not (own / "dataset.json").is_file():
        vs.pack(source, own, seed=seed)
    return own


def splits(shards: Path) -> tuple[str, str]:
    """All splits but one to train on, and the one that judges: 'test', where there is one."""
    names = list(json.loads((shards / "dataset.json").read_text())["splits"])
    judge = "test" if "test" in names else "val"
    return ",".join(name for name in names if name != judge), judge


def figures(shards: Path, run: Path, **options: Any) -> dict[str, Any]:
    """Train, unless that is done; every figure of the split that judges, as metrics.json has it."""
    file = run / "metrics.json"
    if not file.is_file():
        train, judge = splits(shards)
        vs.train(shards, run, train_split=train, val_split=judge, resume=True, **options)
    return json.loads(file.read_text())["val"]


def cell(values: list[float]) -> str:
    """Mean, and the standard deviation of one seed."""
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{spread}"


def table(found: dict[tuple[str, str], list[dict[str, Any]]]) -> str:
    """Markdown: the published figures beside ours (averaged over images), and mAP."""
    heads = [f"{ratio}, {who}" for ratio in RATIOS for who in ("published", "here")]
    lines = [f"| backbone | recipe | {' | '.join(heads)} | mAP |", "|---|---|" + "---:|" * 7]
    for (backbone, recipe), judged in found.items():
        cells = []
        for at, ratio in enumerate(RATIOS):
            cells.append(f"{PUBLISHED[backbone][at]}" if backbone in PUBLISHED else "")
            cells.append(cell([one["samples"][ratio] for one in judged]))
        cells.append(cell([one["mean_average_precision"] for one in judged]))
        lines.append(f"| {backbone} | {recipe} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Do what is not done yet, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path, help="a VOC tree, or packed shards")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for all results")
    parser.add_argument("--backbones", nargs="+", default=list(PUBLISHED))
    parser.add_argument("--recipes", nargs="+", default=["baseline"])
    parser.add_argument("--seeds", type=int, default=1, help="how many [1]")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--weights", default="imagenet", help="imagenet, none, or a file")
    asked = parser.parse_args()

    asked.output.mkdir(parents=True, exist_ok=True)
    found = {}
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):  # whole seeds come first
        shards = pack(asked.source, asked.output, seed)
        for backbone in asked.backbones:
            for recipe in asked.recipes:
                run = asked.output / "runs" / f"{backbone}-{Path(recipe).stem}-{seed}"
                options = {"backbone": backbone, "recipe": recipe, "weights": asked.weights}
                judged = figures(shards, run, seed=seed, **options)
                print(f"{run.name}: mAP {judged['mean_average_precision']:.3f}", flush=True)
                found.setdefault((backbone, Path(recipe).stem), []).append(judged)
    (asked.output / "accuracy.md").write_text(table(found))
    print(table(found))


if __name__ == "__main__":
    main()
