"""Recipes: what they may say, and what goes before them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from vocscore.cli.main import main
from vocscore.config.groups import flat
from vocscore.config.optimization import OptimizationConfig
from vocscore.config.training import TrainConfig
from vocscore.errors import TrainError
from vocscore.records.keys import STORED
from vocscore.training.recipes import load_recipe, recipe_names

if TYPE_CHECKING:
    from pathlib import Path

DEFAULTS = flat(TrainConfig())
NOTHING = ["--weights", "none", "--backbone", "tiny_dropout", "--size", "32", "--device", "cpu"]


def load(text: str, folder: Path) -> dict[str, object]:
    (folder / "mine.toml").write_text(text)
    return load_recipe(str(folder / "mine.toml"))


def test_baseline_is_the_defaults() -> None:
    """The recipe of the experiment changes no default, and says each number of the experiment."""
    recipe = load_recipe("baseline")
    assert recipe == {name: DEFAULTS[name] for name in recipe}
    assert {"epochs", "batch_size", "learning_rate", "momentum", "size", "threshold"} <= set(recipe)


def test_recipes_that_come_along() -> None:
    """Both are there, readable, and not the same."""
    assert recipe_names() == ["baseline", "strong"]
    assert load_recipe("strong") != load_recipe("baseline")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat = 1", r"'learning_rat'\. Did you mean 'learning_rate'"),
        ("batch-size = 3", r"'batch-size'\. Did you mean 'batch_size'"),
        ("epochs = ", "not TOML"),
        ("[optimizer]\nname = 'sgd'", r"optimizer is \{'name': 'sgd'\}, but must be text"),
        ("standardize = 1", "standardize is 1, but must be true or false"),
        ("epochs = true", "epochs is True, but must be a whole number"),
        ("epochs = 2.5", r"epochs is 2\.5, but must be a whole number"),
        ("patience = 1.0", r"patience is 1\.0, but must be a whole number"),
        ("backbone = 18", "backbone is 18, but must be text"),
        ('learning_rate = "fast"', "learning_rate is 'fast', but must be a finite number"),
        ("epochs = 0", "epochs is 0, but must be at least 1"),
        ('optimizer = "adam"', "optimizer is 'adam', but must be one of sgd, adamw"),
        ("optimiser = 'sgd'", "'optimiser'. Did you mean 'optimizer'"),
    ],
)
def test_mistakes_are_one_line(text: str, message: str, tmp_path: Path) -> None:
    """A recipe with an unknown setting or an odd value is refused with the name."""
    with pytest.raises(TrainError, match=message) as caught:
        load(text, tmp_path)
    assert "\n" not in str(caught.value)
    assert "mine.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("recipe", "message"), [("stong", "baseline, strong"), ("no/such.toml", "No such file")]
)
def test_recipe_that_is_not_there(recipe: str, message: str) -> None:
    """The names that there are, or the file that is not."""
    with pytest.raises(TrainError, match=message):
        load_recipe(recipe)


def train(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["train", *map(str, arguments)])
    return done.exit_code, done.output


def config(run: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((run / "config.json").read_text())
    return found


def test_typed_options_go_before_the_recipe(few_shards: Path, tmp_path: Path) -> None:
    """Typed, then recipe, then default, wherever --recipe stands; all of it is in config.json."""
    recipe = tmp_path / "mine.toml"
    recipe.write_text('epochs = 3\nlearning_rate = 0.5\nkeep = "best"\nstandardize = true\n')
    typed = ["--epochs", 1, "--no-standardize"]
    for name, order in (("a", [*typed, "--recipe", recipe]), ("b", ["--recipe", recipe, *typed])):
        code, text = train(few_shards, "-o", tmp_path / name, *NOTHING, *order)
        assert code == 0, text
        found = config(tmp_path / name)
        expected = {"epochs": 1, "learning_rate": 0.5, "keep": "best", "standardise": False}
        assert {key: found[key] for key in expected} == expected
        assert found["batch_size"] == OptimizationConfig.batch_size
        assert found["recipe"] == str(recipe)


def test_every_setting_reaches_the_run(few_shards: Path, tmp_path: Path) -> None:
    """A recipe may set every setting; config.json has each of them as it was set.

    Those that the first version did not have are left out at their defaults.
    """
    given = {
        **{name: value for name, value in DEFAULTS.items() if value is not None},
        "weights": "none",
        "backbone": "tiny_dropout",
        "size": 32,
        "epochs": 1,
        "optimizer": "adamw",
        "loss": "asl",
        "keep": "best",
        "patience": 5,
        "warmup": 0.5,
        "thresholds": "f1",
        "calibrate": True,
        "difficult": "positive",
        "ema": 0.5,
        "head": "chain",
        "fit": "pad",
        "interpolation": "bicubic",
        "pad_color": "1,2,3",
    }
    lines = (f"{n} = {json.dumps(v)}" for n, v in given.items())
    recipe = tmp_path / "all.toml"
    recipe.write_text("\n".join(lines))
    code, text = train(few_shards, "-o", tmp_path / "run", "--recipe", recipe, "--device", "cpu")
    assert code == 0, text
    found = config(tmp_path / "run")
    kept = {name: found.get(STORED.get(name, name), DEFAULTS[name]) for name in given}
    assert kept == given
    assert {"head", "fit", "interpolation", "pad_color"} <= found.keys()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("epochs = 0", "epochs is 0"),
        ('optimizer = "adam"', "optimizer is 'adam'"),
        ("momentum = 1.5", "momentum is 1.5"),
        ("learning_rate = nan", "learning_rate is nan"),
        ("weight_decay = inf", "weight_decay is inf"),
        ("warmup = 10", "--warmup"),
        ("nonsense = 1", "nonsense"),
    ],
)
def test_recipe_out_of_range(line: str, message: str, few_shards: Path, tmp_path: Path) -> None:
    """A recipe's values meet the options' own ranges: exit code 2, and no run is begun."""
    (tmp_path / "mine.toml").write_text(line)
    code, text = train(few_shards, "-o", tmp_path / "run", "--recipe", tmp_path / "mine.toml")
    assert code == 2
    assert message in text
    assert "Traceback" not in text
    assert not (tmp_path / "run").exists()


def test_strong_trains(few_shards: Path, tmp_path: Path) -> None:
    """The recipe runs as it is on few images, and with --tune all."""
    for tune in ("head", "all"):
        run = tmp_path / tune
        options = ["--recipe", "strong", "--tune", tune, "--epochs", 3, "--batch-size", 2]
        code, text = train(few_shards, "-o", run, *options, *NOTHING)
        assert code == 0, text
        assert config(run)["optimiser"] == "adamw"
        assert re.search(r"validation mAP 0\.\d+", text)


def test_resume_by_command(few_shards: Path, tmp_path: Path) -> None:
    """--resume starts a new run, says of a finished one that it is, and excludes --overwrite."""
    command = [few_shards, "-o", tmp_path / "run", *NOTHING, "--epochs", 1]
    assert train(*command, "--resume")[0] == 0
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    code, text = train(*command, "--resume")
    assert code == 0
    assert "already finished" in text
    code, text = train(*command[:-1], 2, "--resume")
    assert code == 2
    assert "cannot be resumed: epochs was 1 and is 2" in text
    code, text = train(*command, "--resume", "--overwrite")
    assert code == 2
    assert "give only one of them" in text
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before
