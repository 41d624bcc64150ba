"""The trainings of an experiment: which there are, doing those that are missing, reading them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.commands import vocscore
from shards import atomic
from shards.manifest import NAME, read_manifest
from vocscore.cli.main import main
from vocscore.cli.train import train
from vocscore.errors import CheckpointError, TrainError
from vocscore.models.network import input_preprocess
from vocscore.models.weights import imagenet_weights, read_weights
from vocscore.records.trained_on import CONFIG
from vocscore.training.recipes import load_recipe
from vocscore.training.run_folder import CURVES, METRICS, is_finished

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SETTINGS = "settings.json"
_OWN = ("--backbone", "--weights", "--recipe", "--seed", "-o", "--resume", "--overwrite")
"""Options of `vocscore train` that the experiment gives by itself."""
HELD_BACK = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What was asked for.

    Attributes:
        source: what `vocscore pack` takes, or packed shards; None with `download`.
        download: a year of VOC to fetch into `source`, as `vocscore pack --download` does.
        out: the folder of everything that is made.
        backbones: names of torchvision classification models.
        weights: as `vocscore train` takes them.
        recipes: names or files, as `vocscore train` takes them; the first is compared with.
        seeds: a seed is the training's and, where no lists say it, the split's.
        options: further words for `vocscore train`.
    """

    source: Path | None
    download: str | None
    out: Path
    backbones: Sequence[str]
    weights: str
    recipes: Sequence[str]
    seeds: Sequence[int]
    options: Sequence[str]


@dataclass(frozen=True, slots=True)
class Run:
    """One training."""

    backbone: str
    recipe: str
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.backbone}-{recipe_label(self.recipe)}-{self.seed}"


@dataclass(frozen=True, slots=True)
class Result:
    """What one training gave.

    Attributes:
        run: which.
        curves: its image, relative to the experiment's folder.
        config: every setting, as the run's config.json has them.
        metrics: as the run's metrics.json has them; its 'val' is the split that judges.
    """

    run: Run
    curves: str
    config: dict[str, Any]
    metrics: dict[str, Any]

    @property
    def judged(self) -> dict[str, Any]:
        """The figures on the images that judge."""
        figures: dict[str, Any] = self.metrics["val"]
        return figures


def recipe_label(recipe: str) -> str:
    """How tables and folders call a recipe: by its name, or its file's."""
    return Path(recipe).stem


def plan(asked: Experiment) -> list[Run]:
    """Every training, seed by seed: an interrupted experiment has whole seeds first."""
    return [
        Run(backbone, recipe, seed)
        for seed in asked.seeds
        for backbone in asked.backbones
        for recipe in asked.recipes
    ]


def check(asked: Experiment) -> None:
    """Refuse before the long work what cannot succeed, and a folder that holds something else.

    Raises:
        CheckpointError: no such backbone, or its weights cannot be had.
        TrainError: no such recipe, or the folder was begun with other settings.
        click.UsageError: `vocscore train` does not take the options.
    """
    _check_options(asked.options)
    recipes = {recipe_label(name): load_recipe(name) for name in asked.recipes}
    if len(recipes) < len(asked.recipes):
        raise TrainError(f"recipes {', '.join(asked.recipes)}: two have one name. Rename a file.")
    for backbone in asked.backbones:
        input_preprocess(backbone, weights=asked.weights, size=1)
    if asked.weights == "imagenet":
        _check_imagenet(asked.backbones)
    elif asked.weights != "none":
        read_weights(asked.weights)
    _check_folder(asked, recipes)


def _check_imagenet(backbones: Sequence[str]) -> None:
    """Fetch the weights of all backbones; what is wrong with one is told with the names of all."""
    wrong = [line for line in map(_wrong_weights, backbones) if line]
    if wrong:
        others = [line.partition(" ")[0] for line in wrong[1:]]  # a line begins with the file
        raise CheckpointError(wrong[0] + (f" Likewise {', '.join(others)}." if others else ""))


def _wrong_weights(backbone: str) -> str:
    try:
        imagenet_weights(backbone)
    except CheckpointError as error:
        return str(error)
    return ""


def _check_folder(asked: Experiment, recipes: dict[str, dict[str, Any]]) -> None:
    """Finished trainings are not looked into again, so they must be of the same settings."""
    file = asked.out / SETTINGS
    settings: dict[str, Any] = {
        "source": None if asked.source is None else str(asked.source.resolve()),
        "download": asked.download,
        "packed": None if asked.source is None else _digest(asked.source),
        "weights": asked.weights,
        "options": list(asked.options),
    }
    if asked.out.exists() and not asked.out.is_dir():
        raise TrainError(f"{asked.out}: is a file. Name a folder with -o.")
    begun = any((asked.out / made).is_dir() for made in ("shards", "runs"))
    before = _begun(file) if begun else {"recipes": {}, **settings}
    known = before.pop("recipes")
    compared = {name: (before[name], value) for name, value in settings.items()}
    compared |= {
        f"recipe {name}": (known.get(name, recipe), recipe) for name, recipe in recipes.items()
    }
    for name, (was, now) in compared.items():
        if was != now:
            raise TrainError(
                f"{asked.out}: {name} was {json.dumps(was)} when it was begun, and is "
                f"{json.dumps(now)}. Give what was given then, or name another folder with -o."
            )
    asked.out.mkdir(parents=True, exist_ok=True)
    kept = {**settings, "recipes": {**known, **recipes}}
    atomic.write(file, (json.dumps(kept, indent=2) + "\n").encode())


def _begun(file: Path) -> dict[str, Any]:
    """What a folder was begun with."""
    names = {"source", "download", "packed", "weights", "options", "recipes"}
    try:
        found: dict[str, Any] = json.loads(file.read_text())
        if not isinstance(found, dict) or found.keys() != names:
            raise ValueError("something else is in it")  # noqa: TRY301 - told below
    except (OSError, ValueError) as error:
        raise TrainError(
            f"{file}: does not say what the shards or runs beside it are of ({error}). Name "
            f"another folder with -o."
        ) from error
    return found


def _check_options(options: Sequence[str]) -> None:
    """Refuse words for `vocscore train` that it does not take, or that are not the user's here.

    Raises:
        TrainError: an option that the experiment gives by itself.
        click.UsageError: no such option, or no such value.
    """
    program = click.Context(main, **main.context_settings)
    context = click.Context(train, parent=program)
    _, _, typed = train.make_parser(context).parse_args(list(options))
    for option in typed:
        if option.opts[0] in _OWN:
            raise TrainError(
                f"{option.opts[0]} behind '--': the table goes by what stands before it. Use "
                f"--backbones, --weights, --recipe, --seeds, --first-seed and -o there."
            )
    train.make_context("train", [".", "-o", ".", *options], parent=program)


def _digest(source: Path) -> str | None:
    """Of packed shards, the hash of what they hold; None for what is still to be packed."""
    manifest = source / NAME
    return hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else None


def run_all(asked: Experiment, *, say: Callable[[str], None]) -> list[Result]:
    """Pack, and train what is not finished; a second call goes on where the first was stopped.

    Raises:
        click.ClickException: what a command would have shown as one line.
        SystemExit: a command was interrupted.
    """
    runs = plan(asked)
    results = []
    for number, run in enumerate(runs, start=1):
        shards = _packed(asked, seed=run.seed)
        folder = asked.out / "runs" / run.name
        done = is_finished(folder)
        say(f"[{number}/{len(runs)}] {run.name}: {'is there' if done else 'training'}")
        if not done:
            _train(asked, run, shards, folder)
        result = _read(run, folder)
        results.append(result)
        say(f"    {_in_short(result.judged)}")
    return results


def _in_short(figures: dict[str, Any]) -> str:
    found = figures["mean_average_precision"]
    ap = "not defined" if found is None else f"{found:.3f}"
    return f"mAP {ap}, IoU {figures['samples']['iou']:.3f} (averaged over images)"


def _packed(asked: Experiment, *, seed: int) -> Path:
    """The shards of a seed: one set for all, unless a ratio that the seed shuffles splits it."""
    if asked.source is not None and (asked.source / NAME).is_file():
        return asked.source
    first = asked.out / "shards"
    if not (first / NAME).is_file():
        _pack(asked, first, seed=seed)
    rule = read_manifest(first).config
    if rule.get("split") != "ratio" or rule["seed"] == seed:
        return first
    own = asked.out / f"shards-{seed}"
    if not (own / NAME).is_file():
        _pack(asked, own, seed=seed)
    return own


def _pack(asked: Experiment, shards: Path, *, seed: int) -> None:
    source = [] if asked.source is None else [asked.source]
    year = [] if asked.download is None else ["--download", asked.download]
    vocscore("pack", *source, *year, "-o", shards, "--seed", seed)


def _train(asked: Experiment, run: Run, shards: Path, folder: Path) -> None:
    """Train on everything but the images that judge: the split 'test', or else 'val'."""
    splits = list(read_manifest(shards).splits)
    judge = HELD_BACK if HELD_BACK in splits else "val"
    others = ",".join(name for name in splits if name != judge)
    vocscore(
        "train", shards, "-o", folder, "--resume",
        "--backbone", run.backbone, "--weights", asked.weights, "--recipe", run.recipe,
        "--seed", run.seed, "--train-split", others, "--val-split", judge, *asked.options,
    )  # fmt: skip


def _read(run: Run, folder: Path) -> Result:
    config, metrics = (json.loads((folder / name).read_text()) for name in (CONFIG, METRICS))
    return Result(run, f"runs/{run.name}/{CURVES}", config, metrics)
