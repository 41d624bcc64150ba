"""`python -m bench accuracy`: what it trains, what it does not train again, and what it tells."""

from __future__ import annotations

import csv
import json
import shutil
import urllib.error
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench import __main__ as program
from bench.accuracy import command, runs
from bench.accuracy.figures import MEANS, RATIOS, comparisons, flat, groups, spread
from bench.accuracy.published import PUBLISHED
from bench.accuracy.tables import every_average, markdown
from shards.manifest import read_manifest
from shards.synthetic.voc import draw_voc
from vocscore.cli.common import KnownError, same_command

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ["--size", "64", "--epochs", "2", "--device", "cpu", "--threshold", "0.3"]
QUICK = ["--size", "32", "--epochs", "2", "--device", "cpu"]
TWO = ["--backbones", "resnet18", "googlenet"]

Row = dict[str, Any]


def accuracy(*words: object, options: list[str] = SMALL) -> None:
    program.main(["accuracy", *map(str, words), "--", *options])


def refused(*words: object, options: list[str] = SMALL) -> None:
    """The same, which ends with exit code 2."""
    with pytest.raises(SystemExit) as caught:
        accuracy(*words, options=options)
    assert caught.value.code == 2


def rows_of(out: Path) -> list[Row]:
    with (out / "accuracy.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def done(voc_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The experiment's three backbones, from nothing, on the drawn set with its lists."""
    out = tmp_path_factory.mktemp("accuracy") / "out"
    accuracy(voc_tree, "-o", out, "--weights", "none")
    return out


Calls = list[list[str]]


@pytest.fixture
def pretended(done: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Commands are noted and cost nothing: they give what they gave before."""
    calls: Calls = []

    def pretend(*words: object) -> None:
        calls.append([str(word) for word in words])
        made = "shards" if words[0] == "pack" else "runs/resnet18-baseline-0"
        shutil.copytree(done / made, calls[-1][calls[-1].index("-o") + 1])

    monkeypatch.setattr(runs, "vocscore", pretend)
    return calls


@pytest.mark.slow
def test_trained_on_all_but_what_judges(done: Path) -> None:
    """Where there is a test split it judges, and train and val are trained on, as VOC 2007 is."""
    splits = read_manifest(done / "shards").splits
    for row in rows_of(done):
        assert (row["train_split"], row["judged_on"]) == ("train,val", "test")
        assert int(row["train_images"]) == splits["train"].samples + splits["val"].samples
        assert int(row["judged_images"]) == splits["test"].samples


def test_figures_are_those_of_the_runs(done: Path) -> None:
    """CSV, JSON and Markdown hold what each run's metrics.json says of the judging split."""
    everything = json.loads((done / "accuracy.json").read_text())
    page = (done / "accuracy.md").read_text()
    for row, run in zip(rows_of(done), everything["runs"], strict=True):
        folder = done / "runs" / f"{row['backbone']}-baseline-0"
        judged = json.loads((folder / "metrics.json").read_text())["val"]
        assert run["metrics"]["val"] == judged
        assert float(row["mean_average_precision"]) == judged["mean_average_precision"]
        for average in ("samples", "micro", "macro"):
            assert {r: float(row[f"{average}_{r}"]) for r in RATIOS} == judged[average]
            cells = " | ".join(f"{judged[average][r]:.3f}" for r in RATIOS)
            assert f"| {row['backbone']} | baseline | {average} | {cells} |" in page
    assert everything["published"] == PUBLISHED


def test_beside_the_published_figures(done: Path) -> None:
    """The published figures of each backbone stand beside the samples averages."""
    page = (done / "accuracy.md").read_text()
    published = {
        "alexnet": (0.579, 0.698, 0.626),
        "resnet18": (0.687, 0.808, 0.722),
        "googlenet": (0.596, 0.719, 0.613),
    }
    rows = rows_of(done)
    assert [row["backbone"] for row in rows] == list(published)
    for row in rows:
        here = [float(row[f"samples_{name}"]) for name in ("iou", "precision", "recall")]
        pairs = zip(published[row["backbone"]], here, strict=True)
        cells = " | ".join(f"{theirs:.3f} | {own:.3f}" for theirs, own in pairs)
        assert f"| {row['backbone']} | baseline | {cells} |" in page
    assert "These are not the images of the publication" in page
    assert "taken for a slip" in page
    assert "`samples`" in page


def test_curves_of_every_run(done: Path) -> None:
    """Each run has its PNG, and the page leads to it."""
    page = (done / "accuracy.md").read_text()
    for row in rows_of(done):
        assert f"]({row['curves']})" in page
        with Image.open(done / row["curves"]) as image:
            assert image.format == "PNG"


def test_what_is_finished_is_not_done_again(
    done: Path, voc_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second call runs no command and writes the same tables."""
    before = (done / "accuracy.csv").read_bytes()
    monkeypatch.setattr(runs, "vocscore", lambda *_: pytest.fail("a command was run"))
    accuracy(voc_tree, "-o", done, "--weights", "none")
    assert (done / "accuracy.csv").read_bytes() == before


def test_stopped_and_given_again(
    done: Path, voc_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the second training: only that one is done again, and the figures are the same."""
    words = [voc_tree, "-o", tmp_path / "out", *TWO, "--weights", "none"]
    run, calls = runs.vocscore, []

    def stopped(*given: object) -> None:
        calls.append([str(word) for word in given])
        if "googlenet" in calls[-1]:
            raise SystemExit(130)
        run(*given)

    monkeypatch.setattr(runs, "vocscore", stopped)
    with pytest.raises(SystemExit) as caught:
        accuracy(*words)
    assert caught.value.code == 130
    assert not (tmp_path / "out" / "accuracy.md").exists()
    assert [call[0] for call in calls] == ["pack", "train", "train"]
    calls.clear()

    def counted(*given: object) -> None:
        calls.append([str(word) for word in given])
        run(*given)

    monkeypatch.setattr(runs, "vocscore", counted)
    accuracy(*words)
    assert [(call[0], "googlenet" in call) for call in calls] == [("train", True)]
    assert rows_of(tmp_path / "out") == rows_of(done)[1:]


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        (["--weights", "none"], ["--epochs", "3"], 'options was ["--size"'),
        (["--weights", "FILE"], SMALL, 'weights was "none"'),
    ],
)
def test_other_settings_in_the_same_folder(
    words: list[str],
    options: list[str],
    message: str,
    *,
    done: Path,
    voc_tree: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Finished trainings of other settings never pass for those asked for."""
    file = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(1)}, file)
    given = [str(file) if word == "FILE" else word for word in words]
    refused(voc_tree, "-o", done, *TWO, *given, options=options)
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("pretended")
def test_a_recipe_that_was_changed(
    voc_tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recipe's file with other contents is another recipe."""
    recipe = tmp_path / "mine.toml"
    recipe.write_text("learning_rate = 0.1\n")
    words = [voc_tree, "-o", tmp_path / "out", "--backbones", "squeezenet1_1", "--weights", "none"]
    accuracy(*words, "--recipe", recipe)
    assert rows_of(tmp_path / "out")[0]["recipe"] == "mine"
    recipe.write_text("learning_rate = 0.2\n")
    with pytest.raises(SystemExit):
        accuracy(*words, "--recipe", recipe)
    assert 'recipe mine was {"learning_rate": 0.1} when it was begun' in capsys.readouterr().err


@pytest.mark.slow
def test_seeds_and_recipes_without_lists(tmp_path: Path) -> None:
    """Without lists each seed has a split of its own, the same for all recipes."""
    tree = draw_voc(tmp_path / "tree", images=60, seed=2, width=48, height=36, lists=False)
    out, kept = tmp_path / "out", tmp_path / "kept"
    words = [tree, "-o", out, "--backbones", "squeezenet1_1", "--weights", "none", "--seeds", 2]
    accuracy(*words, "--recipe", "baseline", "--recipe", "strong", "--results", kept, options=QUICK)
    names = [
        f"squeezenet1_1-{recipe}-{seed}" for seed in (0, 1) for recipe in ("baseline", "strong")
    ]
    assert sorted(folder.name for folder in (out / "runs").iterdir()) == sorted(names)
    sets = [read_manifest(out / name) for name in ("shards", "shards-1")]
    assert sets[0].shards() != sets[1].shards()
    assert [one.config["seed"] for one in sets] == [0, 1]
    used = [json.loads((out / "runs" / name / "config.json").read_text()) for name in names]
    assert [one["seed"] for one in used] == [0, 0, 1, 1]
    assert [one["shards_sha256"] for one in used[:3:2]] == [
        one["shards_sha256"] for one in used[1::2]
    ]
    page = (out / "accuracy.md").read_text()
    assert "`strong` has the higher mAP in" in page
    assert "of 2 seeds" in page
    (row,) = (kept / "accuracy.jsonl").read_text().splitlines()
    assert [one["seed"] for one in json.loads(row)["facts"]["runs"]] == [0, 0, 1, 1]


def test_one_set_for_all_seeds_where_lists_split_it(
    pretended: Calls, voc_tree: Path, tmp_path: Path
) -> None:
    """Lists know no seed: packed once. Packed shards are used as they are."""
    words = ["--backbones", "squeezenet1_1", "--weights", "none", "--seeds", 3]
    accuracy(voc_tree, "-o", tmp_path / "a", *words)
    assert [call[0] for call in pretended] == ["pack", "train", "train", "train"]
    packed = tmp_path / "a" / "shards"
    pretended.clear()
    accuracy(packed, "-o", tmp_path / "b", *words)
    assert [call[:2] for call in pretended] == [["train", str(packed)]] * 3
    assert [call[call.index("--seed") + 1] for call in pretended] == ["0", "1", "2"]


def test_downloaded_and_trained(pretended: Calls, tmp_path: Path) -> None:
    """--download goes to `vocscore pack`, with the folder to fetch into where one is named."""
    words = ["--download", "2007", "--backbones", "squeezenet1_1", "--weights", "none"]
    accuracy("-o", tmp_path / "a", *words)
    accuracy(tmp_path / "voc", "-o", tmp_path / "b", *words)
    ends = [["--download", "2007", "-o", str(tmp_path / n / "shards"), "--seed", "0"] for n in "ab"]
    packs = [call for call in pretended if call[0] == "pack"]
    assert packs == [["pack", *ends[0]], ["pack", str(tmp_path / "voc"), *ends[1]]]


def test_imagenet_without_a_network(
    voc_tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Offline, the default weights end in one line before any work: which files, and where to."""

    def offline(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    refused(voc_tree, "-o", tmp_path / "out")
    *before, line = capsys.readouterr().err.splitlines()
    assert all(one.startswith("Downloading") for one in before)
    assert str(tmp_path / "cache" / "hub" / "checkpoints") in line
    for file in ("alexnet-owt-7be5be79.pth", "resnet18-f37072fd.pth", "googlenet-1378be20.pth"):
        assert file in line
    assert not (tmp_path / "out" / "shards").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--backbones", "resnet81"], "resnet81"),
        (["--recipe", "stong"], "baseline, strong"),
        (["--weights", "no/such.pth"], "no/such.pth"),
        (["--recipe", "a/baseline.toml", "--recipe", "baseline"], "No such file"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str],
    message: str,
    voc_tree: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What cannot succeed is refused before anything is packed."""
    refused(voc_tree, "-o", tmp_path / "out", "--weights", "none", *words)
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_wrong_folder_can_be_put_right(
    voc_tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped folder is one line of `vocscore pack`, and leaves nothing in the way."""
    words = ["-o", tmp_path / "out", "--backbones", "squeezenet1_1", "--weights", "none"]
    with pytest.raises(SystemExit):
        accuracy(tmp_path / "typo", *words)
    assert "typo: no such folder" in capsys.readouterr().err
    accuracy(voc_tree, *words, options=QUICK)
    assert (tmp_path / "out" / "accuracy.md").exists()


def test_a_command_that_fails_ends_it(
    voc_tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command's own line and exit code are the experiment's."""

    def full(*_: object) -> None:
        raise KnownError("the disk is full")

    monkeypatch.setattr(runs, "vocscore", full)
    refused(voc_tree, "-o", tmp_path / "out", "--weights", "none")
    assert capsys.readouterr().err == "Error: the disk is full\n"


def test_an_interrupted_command_stops_the_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that ends with 130 does not return as if it had done its work."""
    import click

    from bench.commands import vocscore
    from vocscore.cli import pack

    def interrupted(*_: object, **__: object) -> None:
        raise click.exceptions.Exit(130)

    monkeypatch.setattr(pack, "_source", interrupted)
    with pytest.raises(SystemExit) as caught:
        vocscore("pack", "anything", "-o", "anywhere")
    assert caught.value.code == 130


def test_seeds_from_another_one_on(tmp_path: Path, pretended: Calls, voc_tree: Path) -> None:
    """--first-seed: other splits and other weights than those that a recipe was chosen on."""
    words = ["--backbones", "squeezenet1_1", "--weights", "none", "--seeds", 2, "--first-seed", 7]
    accuracy(voc_tree, "-o", tmp_path / "out", *words)
    assert [call[call.index("--seed") + 1] for call in pretended] == ["7", "7", "8"]
    assert [row["seed"] for row in rows_of(tmp_path / "out")] == ["7", "8"]


def test_the_command_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an interrupted command tells to give again can be typed."""
    for program_file, typed in (
        ("/a/bench/__main__.py", "python -m bench"),
        ("/b/vocscore", "vocscore"),
    ):
        monkeypatch.setattr("sys.argv", [program_file, "accuracy", "a b"])
        assert same_command() == f"{typed} accuracy 'a b'"


@pytest.mark.parametrize("more", [[], ["--overwrite"], ["--resume"]])
def test_the_command_that_resumes(monkeypatch: pytest.MonkeyPatch, more: list[str]) -> None:
    """It names --resume once, and not --overwrite, which would remove what it goes on from."""
    monkeypatch.setattr("sys.argv", ["/b/vocscore", "train", "shards", *more, "-o", "run"])
    assert same_command(resumed=True) == "vocscore train shards -o run --resume"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bogus", "3"], "--bogus"),
        (["--epochs", "0"], "--epochs"),
        (["--recipe=strong"], "--recipe behind '--'"),
        (["--size", "64", "--seed", "9"], "--seed behind '--'"),
        (["-o", "elsewhere"], "-o behind '--'"),
    ],
)
def test_words_that_are_not_for_training(
    options: list[str],
    message: str,
    voc_tree: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Refused before anything is packed or kept: the same folder takes the mended command."""
    refused(voc_tree, "-o", tmp_path / "out", "--weights", "none", options=options)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("made", "words", "message"),
    [
        ({"out/shards/x": ""}, [], "settings.json: does not say what the shards or runs"),
        ({"out/shards/x": "", "out/settings.json": "{"}, [], "does not say what"),
        ({"out/shards/x": "", "out/settings.json": "[]"}, [], "does not say what"),
        ({"out": ""}, [], "out: is a file. Name a folder with -o."),
        ({"kept": ""}, ["--results", "kept"], "--results kept: is a file"),
    ],
)
def test_folders_that_are_none(
    made: dict[str, str],
    words: list[str],
    message: str,
    *,
    voc_tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Somebody else's folder, a damaged one, or a file: exit code 2 before anything is packed."""
    monkeypatch.chdir(tmp_path)
    for name, text in made.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    refused(voc_tree, "-o", "out", "--weights", "none", *words)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out" / "runs").exists()


def test_words_without_a_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Neither VOCDEVKIT nor --download, or no seed: exit code 2 with the usage."""
    for words in (["-o", "x"], [str(tmp_path), "-o", "x", "--seeds", "0"]):
        with pytest.raises(SystemExit) as caught:
            command.main(words)
        assert caught.value.code == 2
    assert "--download a year" in capsys.readouterr().err


def made_up(values: dict[str, list[float | None]], **more: object) -> list[Row]:
    """Rows of one backbone: recipe -> mAP, one a seed."""
    return [
        {
            "backbone": "resnet18",
            "recipe": recipe,
            "seed": seed,
            "weights": "w",
            "train_split": "train,val",
            "judged_on": "test",
            "train_images": 5011,
            "judged_images": 4952,
            "chosen_by_judge": False,
            "curves": "c.png",
            "chance": 0.1,
            **{f"samples_{ratio}": 0.7 for ratio in RATIOS},
            **{f"{average}_{ratio}": 0.2 for average in ("micro", "macro") for ratio in RATIOS},
            **dict.fromkeys(MEANS, value),
            **more,
        }
        for recipe, found in values.items()
        for seed, value in enumerate(found)
    ]


def test_mean_spread_and_wins() -> None:
    """Mean and standard deviation are NumPy's (ddof 1); a tie is no win."""
    first, other = [0.5, 0.6, 0.7, 0.4], [0.6, 0.6, 0.8, 0.3]
    rows = made_up({"baseline": first, "strong": other})
    found = spread(groups(rows)["resnet18", "strong"], MEANS[0])
    assert found is not None
    assert found.mean == pytest.approx(np.mean(other))
    assert found.deviation == pytest.approx(np.std(other, ddof=1))
    (compared,) = comparisons(rows)
    assert compared.wins == 2
    assert compared.gains.values == pytest.approx(np.subtract(other, first))
    assert "`strong` has the higher mAP in 2 of 4 seeds; it gains +0.025" in compared.text()
    assert "(-0.100 to +0.100)" in compared.text()
    page = markdown(rows, ())
    assert f"| 4 | 0.575 | {np.std(other, ddof=1):.3f} | 0.300 to 0.800 |" in page


def test_a_map_that_is_not_defined() -> None:
    """A seed without any positive has no mAP: a dash, and no comparison."""
    rows = made_up({"baseline": [0.5, None], "strong": [0.6, 0.7]})
    assert comparisons(rows) == []
    assert "| resnet18 | baseline | - | - | - |" in every_average(rows)


def test_a_backbone_that_was_not_published() -> None:
    """Its published cells are empty; beside them stand the samples averages, and mAP."""
    page = markdown(made_up({"baseline": [0.5]}, backbone="squeezenet1_1"), ())
    assert "| squeezenet1_1 | baseline |  | 0.700 |  | 0.700 |  | 0.700 | 0.500 |" in page


def test_the_images_of_the_publication() -> None:
    """With VOC 2007's 5011 and 4952 images no warning stands over the table."""
    rows = made_up({"baseline": [0.5]})
    assert "not the images" not in markdown(rows, ())
    assert "not the images" in markdown(made_up({"baseline": [0.5]}, judged_images=4951), ())
    assert "Beside the recipes: `--epochs 3`" in markdown(rows, ("--epochs", "3"))


def test_who_chose_by_the_judge_is_named(done: Path) -> None:
    """A recipe that fits anything to the judging images is called flattered."""
    assert "Flattered" not in (done / "accuracy.md").read_text()
    assert "**Flattered**: best" in markdown(made_up({"best": [0.5]}, chosen_by_judge=True), ())


@pytest.mark.parametrize(
    "change", [{"keep": "best"}, {"patience": 3}, {"thresholds": "f1"}, {"calibrate": True}]
)
def test_choosing_settings_are_noticed(change: Row, done: Path) -> None:
    """What chooses is seen in the run's own settings."""
    folder = done / "runs" / "alexnet-baseline-0"
    config, metrics = (
        json.loads((folder / f"{n}.json").read_text()) for n in ("config", "metrics")
    )
    run = runs.Run("alexnet", "baseline", 0)
    assert not flat(runs.Result(run, "", config, metrics))["chosen_by_judge"]
    assert flat(runs.Result(run, "", {**config, **change}, metrics))["chosen_by_judge"]


@pytest.mark.slow
def test_real_photographs_and_weights(voc_data: Path, tmp_path: Path) -> None:
    """SqueezeNet's ImageNet weights on 100 VOC photographs: far above chance."""
    weights = voc_data / "weights" / "squeezenet1_0-imagenet.pth"
    words = ["--backbones", "squeezenet1_0", "--weights", weights]
    accuracy(voc_data / "voc2012-100", "-o", tmp_path, *words, options=["--device", "cpu"])
    (row,) = rows_of(tmp_path)
    assert (int(row["train_images"]), int(row["judged_images"])) == (70, 30)
    assert float(row["mean_average_precision"]) > 0.5 > 5 * float(row["chance"])
