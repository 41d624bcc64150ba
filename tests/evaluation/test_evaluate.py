"""Predictions beside packed labels; the expected labels come from the class lists of VOC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import sklearn.metrics
from click.testing import CliRunner
from voc_truth import Truth, plain, write

from shards.classes import VOC_CLASSES
from shards.errors import Error
from vocscore.cli.main import main
from vocscore.errors import EvalError
from vocscore.evaluation.eval_text import eval_text
from vocscore.evaluation.evaluate import evaluate
from vocscore.evaluation.metrics import report

if TYPE_CHECKING:
    from pathlib import Path


def test_figures_are_those_of_the_lists(packed: Path, val: Truth, tmp_path: Path) -> None:
    """Labels and rows meet by path, in whatever order the rows stand."""
    order = np.random.default_rng(1).permutation(16)
    file = write(tmp_path / "p.csv", [val.paths[i] for i in order], val.guesses[order])
    got = evaluate(file, packed, split="val", threshold=0.5)
    expected = report(val.labels, val.guesses, threshold=0.5)
    assert plain(got.figures.to_json(VOC_CLASSES)) == plain(expected.to_json(VOC_CLASSES))
    assert (val.labels == -1).any()
    c = VOC_CLASSES.index("person")
    counts = val.labels[:, c] >= 0
    assert got.figures.average_precision[c] == pytest.approx(
        sklearn.metrics.average_precision_score(val.labels[counts, c], val.guesses[counts, c])
    )
    assert (got.labeled, got.missing, got.failed, got.unlabeled) == (16, (), (), 0)
    assert got.matched_as is None


def test_columns_meet_by_name(packed: Path, val: Truth, tmp_path: Path) -> None:
    """Columns in another order give the same figures."""
    order = np.random.default_rng(2).permutation(20)
    names = [VOC_CLASSES[c] for c in order]
    one = write(tmp_path / "one.csv", val.paths, val.guesses)
    other = write(tmp_path / "other.csv", val.paths, val.guesses[:, order], classes=names)
    results = [
        plain(evaluate(file, packed, split="val", threshold=0.5).to_json()) for file in (one, other)
    ]
    assert results[0] == results[1]


def test_the_threshold_decides_what_is_predicted(packed: Path, val: Truth, tmp_path: Path) -> None:
    """With threshold 0 everything is predicted: recall 1; at 1 nothing is: recall 0."""
    file = write(tmp_path / "p.csv", val.paths, val.guesses)
    recalls = [
        evaluate(file, packed, split="val", threshold=t).figures.micro.recall for t in (0.0, 1.0)
    ]
    assert recalls == [1, 0]


def test_images_without_probabilities_are_left_out_and_counted(
    packed: Path, val: Truth, tmp_path: Path
) -> None:
    """Figures are of the images scored; missing and failed ones are counted, named and shown."""
    failed = val.paths[2:5]
    file = write(tmp_path / "p.csv", val.paths[1:], val.guesses[1:], failed=failed)
    got = evaluate(file, packed, split="val", threshold=0.5)
    rows = [1, *range(5, 16)]
    expected = report(val.labels[rows], val.guesses[rows], threshold=0.5)
    assert plain(got.figures.to_json(VOC_CLASSES)) == plain(expected.to_json(VOC_CLASSES))
    assert (got.labeled, got.figures.images) == (16, 12)
    assert got.missing == (val.paths[0],)
    assert got.failed == tuple(failed)
    value = got.to_json()
    assert (value["missing"], value["failed"]) == (1, 3)
    text = eval_text(got)
    assert "scored 12 of 16 labeled images (val)" in text
    assert "NOT IN THE METRICS: 4 labeled images (1 without a row, 3 with status=error)" in text
    assert val.paths[0] in text


def test_odd_names_are_shown_escaped(packed: Path, val: Truth, tmp_path: Path) -> None:
    """A path that is no text or has a line end cannot break the printed text."""
    names = [f"caf\udce9\n/{path}" for path in val.paths]
    file = tmp_path / "p.csv"
    write(file, [f"CAFE/{path}" for path in val.paths], val.guesses)
    file.write_bytes(file.read_bytes().replace(b"CAFE/", b'"caf\xe9\n/').replace(b".jpg", b'.jpg"'))
    got = evaluate(file, packed, split="val", threshold=0.5)
    assert got.matched_as == (names[0], val.paths[0])
    assert f"their endings: {names[0]!r} is {val.paths[0]}" in eval_text(got).splitlines()[1]
    eval_text(got).encode()


def test_a_complete_table_gets_no_warning(packed: Path, val: Truth, tmp_path: Path) -> None:
    """When every image was scored under its own path, the text warns of nothing."""
    file = write(tmp_path / "p.csv", val.paths, val.guesses)
    text = eval_text(evaluate(file, packed, split="val", threshold=0.5))
    assert "scored 16 of 16" in text
    assert "NOT IN" not in text
    assert "differ" not in text


def test_without_a_split_those_scored_are_compared(
    packed: Path, voc_tree: Path, val: Truth, tmp_path: Path
) -> None:
    """A split of which no image was scored is not missed; one of which some were, is."""
    test = Truth(voc_tree, "test")
    paths = [*val.paths, *test.paths[:3], "JPEGImages/stranger.jpg"]
    guesses = np.concatenate([val.guesses, test.guesses[:4]])
    got = evaluate(write(tmp_path / "p.csv", paths, guesses), packed, split=None, threshold=0.5)
    assert got.splits == ("val", "test")
    assert got.labeled == 24
    assert got.missing == tuple(test.paths[3:])
    assert got.unlabeled == 1
    both = [np.concatenate([val.labels, test.labels[:3]]), guesses[:19]]
    expected = report(both[0], both[1], threshold=0.5)
    assert plain(got.figures.to_json(VOC_CLASSES)) == plain(expected.to_json(VOC_CLASSES))


def test_splits_can_be_joined(packed: Path, voc_tree: Path, tmp_path: Path) -> None:
    """`train,val` compares with the images of both."""
    truth = Truth(voc_tree, "trainval")
    file = write(tmp_path / "p.csv", truth.paths, truth.guesses)
    got = evaluate(file, packed, split="train,val", threshold=0.5)
    expected = report(truth.labels, truth.guesses, threshold=0.5)
    assert got.splits == ("train", "val")
    assert got.figures.mean_average_precision == pytest.approx(expected.mean_average_precision)
    assert got.labeled == 40


def test_an_image_in_two_splits_counts_once(packed: Path, val: Truth, tmp_path: Path) -> None:
    """A split that is named twice gives the figures of one."""
    file = write(tmp_path / "p.csv", val.paths, val.guesses)
    one, two = (
        evaluate(file, packed, split=split, threshold=0.5).to_json() for split in ("val", "val,val")
    )
    assert two["splits"] == ["val", "val"]
    assert plain(one | {"splits": None}) == plain(two | {"splits": None})


def test_another_folder_is_matched_by_endings_and_said_so(
    packed: Path, val: Truth, tmp_path: Path
) -> None:
    """Rows of JPEGImages/ itself give the same figures, and a line that shows how they matched."""
    names = [f"{key}.jpg" for key in val.keys]
    got = evaluate(
        write(tmp_path / "p.csv", names, val.guesses), packed, split="val", threshold=0.5
    )
    expected = report(val.labels, val.guesses, threshold=0.5)
    assert plain(got.figures.to_json(VOC_CLASSES)) == plain(expected.to_json(VOC_CLASSES))
    assert f"matched by their endings: {names[0]} is {val.paths[0]}" in eval_text(got)
    assert got.to_json()["matched_by"] == "ending"


def test_the_text_has_every_class_and_average(packed: Path, val: Truth, tmp_path: Path) -> None:
    """A line for each class with its positives and AP, the four averages, mAP beside chance."""
    file = write(tmp_path / "p.csv", val.paths, val.guesses)
    got = evaluate(file, packed, split="val", threshold=0.5)
    lines = {line.split()[0]: line.split() for line in eval_text(got).splitlines() if line}
    for c, name in enumerate(VOC_CLASSES):
        positives = int((val.labels[:, c] == 1).sum())
        assert lines[name][1] == str(positives)
        assert lines[name][2] == (f"{got.figures.average_precision[c]:.3f}" if positives else "-")
    averages = [getattr(got.figures, name) for name in lines["average"][1:]]
    assert lines["average"][1:] == ["samples", "micro", "macro"]
    for name in ("IoU", "precision", "recall", "F1"):
        figures = [getattr(average, name.lower()) for average in averages]
        assert lines[name][1:] == [f"{figure:.3f}" for figure in figures]
    assert f"mAP {got.figures.mean_average_precision:.3f}" in eval_text(got)
    assert f"chance {got.figures.chance:.3f}" in eval_text(got)


def test_other_classes_are_refused_by_name(packed: Path, val: Truth, tmp_path: Path) -> None:
    """Classes that only one side has are named."""
    names = [*VOC_CLASSES[:-1], "wombat"]
    file = write(tmp_path / "p.csv", val.paths, val.guesses, classes=names)
    with pytest.raises(EvalError, match="missing: tvmonitor; unknown: wombat"):
        evaluate(file, packed, split="val", threshold=0.5)


def test_other_images_are_refused_with_examples(packed: Path, val: Truth, tmp_path: Path) -> None:
    """A table of other images ends in an error that shows a path of each side."""
    file = write(tmp_path / "p.csv", [f"x/{n}.jpg" for n in range(16)], val.guesses)
    with pytest.raises(EvalError, match=r"predicted: 'x/0\.jpg'; labeled: 'JPEGImages/20"):
        evaluate(file, packed, split="val", threshold=0.5)


def test_only_failed_images_are_refused(packed: Path, val: Truth, tmp_path: Path) -> None:
    """A table in which every labeled image failed cannot be evaluated."""
    file = write(tmp_path / "p.csv", val.paths, val.guesses, failed=val.paths)
    with pytest.raises(EvalError, match=r"every image of val .* has status=error"):
        evaluate(file, packed, split="val", threshold=0.5)


def test_an_unknown_split_is_refused(packed: Path, val: Truth, tmp_path: Path) -> None:
    """A split that the shards do not have ends in one line that names it."""
    file = write(tmp_path / "p.csv", val.paths, val.guesses)
    with pytest.raises(Error, match="holdout"):
        evaluate(file, packed, split="holdout", threshold=0.5)


def test_the_command_compares_a_folder_of_parts_as_it_does_a_file(
    packed: Path, val: Truth, tmp_path: Path
) -> None:
    """`vocscore eval DIR SHARDS` prints what it prints of the same rows in one file."""
    file = write(tmp_path / "p.csv", val.paths, val.guesses)
    folder = tmp_path / "parts"
    folder.mkdir()
    write(folder / "part-000000.csv", val.paths[:9], val.guesses[:9])
    write(folder / "part-000001.csv", val.paths[9:], val.guesses[9:])
    results = [CliRunner().invoke(main, ["eval", str(p), str(packed)]) for p in (file, folder)]
    assert [result.exit_code for result in results] == [0, 0]
    assert results[0].output == results[1].output
    assert "scored 16 of 16" in results[0].output
