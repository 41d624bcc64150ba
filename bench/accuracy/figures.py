"""The figures of finished trainings: one flat row each, their means, and recipes side by side."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bench.accuracy.runs import recipe_label
from vocscore.records.trained_on import chosen_on_validation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.accuracy.runs import Result

AVERAGES: Final = ("samples", "micro", "macro")
RATIOS: Final = ("iou", "precision", "recall", "f1")
MEANS: Final = (
    "mean_average_precision",
    "mean_average_precision_voc2007",
    "mean_average_precision_voc2010",
)
FIGURES: Final = (*(f"{a}_{ratio}" for a in AVERAGES for ratio in RATIOS), *MEANS, "loss")


@dataclass(frozen=True, slots=True)
class Spread:
    """Some values of one figure, one a seed."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The figure to quote."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float:
        """Standard deviation of one seed (n - 1 in the denominator); 0 of a single one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0

    def text(self) -> str:
        """With its deviation, where there is one."""
        if len(self.values) == 1:
            return f"{self.mean:.3f}"
        return f"{self.mean:.3f} ± {self.deviation:.3f}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A recipe beside the first one, seed by seed.

    Attributes:
        backbone: on which.
        recipe: the one that is compared.
        first: the one that it is compared with.
        gains: mAP of `recipe` less that of `first`, one a seed.
    """

    backbone: str
    recipe: str
    first: str
    gains: Spread

    @property
    def wins(self) -> int:
        """Seeds in which the recipe is strictly better."""
        return sum(gain > 0 for gain in self.gains.values)

    def text(self) -> str:
        """One sentence."""
        of = len(self.gains.values)
        low, high = min(self.gains.values), max(self.gains.values)
        sentence = (
            f"{self.backbone}: `{self.recipe}` has the higher mAP in {self.wins} of {of} seeds; "
            f"it gains {self.gains.mean:+.3f}"
        )
        return f"{sentence} on average ({low:+.3f} to {high:+.3f})." if of > 1 else f"{sentence}."


def flat(result: Result) -> dict[str, Any]:
    """One training as a row of a table; a figure that is not defined is None."""
    judged, config = result.judged, result.config
    ratios = {f"{a}_{ratio}": judged[a][ratio] for a in AVERAGES for ratio in RATIOS}
    return {
        "backbone": result.run.backbone,
        "recipe": recipe_label(result.run.recipe),
        "seed": result.run.seed,
        "weights": config["weights_from"],
        "train_split": config["train_split"],
        "judged_on": config["val_split"],
        "train_images": result.metrics["train"]["pictures"],
        "judged_images": judged["pictures"],
        "epoch": result.metrics["epoch"],
        "chosen_by_judge": bool(chosen_on_validation(config)),
        **ratios,
        **{name: judged[name] for name in (*MEANS, "chance", "loss")},
        "curves": result.curves,
    }


def spread(rows: Sequence[dict[str, Any]], figure: str) -> Spread | None:
    """A figure of some trainings; None where one of them has none."""
    values = [row[figure] for row in rows]
    return None if None in values else Spread(tuple(values))


def groups(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The rows of each backbone and recipe, by seed, in the order of first appearance."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["backbone"], row["recipe"]), []).append(row)
    return found


def comparisons(rows: Sequence[dict[str, Any]]) -> list[Comparison]:
    """Every recipe but the first beside the first, on each backbone."""
    found = []
    together = groups(rows)
    for (backbone, recipe), its in together.items():
        first = next(r for b, r in together if b == backbone)
        mine = spread(its, MEANS[0])
        theirs = spread(together[backbone, first], MEANS[0])
        if recipe == first or mine is None or theirs is None:
            continue
        gains = (a - b for a, b in zip(mine.values, theirs.values, strict=True))
        found.append(Comparison(backbone, recipe, first, Spread(tuple(gains))))
    return found
