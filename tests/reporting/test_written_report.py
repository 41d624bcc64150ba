"""A report shows the figures of eval, the worst mistakes, and nothing from elsewhere."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from read_report import ReadReport
from written_predictions import HOSTILE, Drawn, draw

import vocscore as vs
from vocscore.cli.main import main
from vocscore.columns.open import open_table
from vocscore.errors import EvalError, ReportError
from vocscore.records.trained_on import TrainedOn

if TYPE_CHECKING:
    from pathlib import Path


def run(*words: object) -> Any:
    """A command that must succeed."""
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(scope="module")
def written(
    predictions: Path, packed: Path, voc_tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, ReadReport, dict[str, Any]]:
    """A report with labels and images, and the figures of eval."""
    out = tmp_path_factory.mktemp("out")
    options = ["--resamples", 50, "--images-per-class", 3]
    words = ["--labels", packed, "--images", voc_tree, *options, "-o", out / "r.html"]
    run("report", predictions, *words)
    files = ["--json", out / "e.json", "--mistakes", out / "m.csv"]
    run("eval", predictions, packed, *files, "--resamples", 50)
    return out / "r.html", ReadReport(out / "r.html"), json.loads((out / "e.json").read_text())


def three(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def between(pair: list[float | None]) -> str:
    return "" if pair[0] is None else f"{pair[0]:.3f} to {pair[1]:.3f}"


def test_figures_of_classes_are_those_of_eval(written: Any) -> None:
    """Labels, average precision with its interval, precision, recall and F1, best class first."""
    _, read, evaluated = written
    rows = read.table("class", "with the label")
    assert len(rows) == 20
    for row in rows:
        want = evaluated["classes"][row["class"]]
        pair = evaluated["intervals"]["classes"][row["class"]]["average_precision"]
        assert row["with the label"] == str(want["positives"])
        assert row["AP"] == three(want["average_precision"])
        assert row["95% interval"] == between(pair)
        for name in ("precision", "recall", "F1"):
            assert row[name] == three(want[name.lower()])
    points = [evaluated["classes"][row["class"]]["average_precision"] for row in rows]
    known = [point for point in points if point is not None]
    assert points == sorted(known, reverse=True) + [None] * (20 - len(known))


def test_averages_are_those_of_eval(written: Any) -> None:
    """mAP, IoU, precision, recall and F1 with intervals, and the calibration error."""
    _, read, evaluated = written
    ends = evaluated["intervals"]
    assert read.cards["mAP"] == (
        three(evaluated["mean_average_precision"]),
        between(ends["mean_average_precision"]),
    )
    for name, average, figure in (
        ("IoU, mean over images", "samples", "iou"),
        ("precision, all decisions", "micro", "precision"),
        ("recall, all decisions", "micro", "recall"),
        ("F1, all decisions", "micro", "f1"),
        ("F1, mean over classes", "macro", "f1"),
    ):
        pair = ends[average][figure]
        assert read.cards[name] == (three(evaluated[average][figure]), between(pair))
    error = three(evaluated["expected_calibration_error"])
    assert read.cards["expected calibration error"] == (error, "")


def test_what_is_missed_is_what_eval_says(written: Any) -> None:
    """Classes and pairs, the most frequent ones."""
    _, read, evaluated = written
    missed, classes = np.array(evaluated["missed_together"]), list(evaluated["classes"])
    alone = [
        (row["class"], int(row["images missed"])) for row in read.table("class", "images missed")
    ]
    assert [n for _, n in alone] == sorted(np.diag(missed), reverse=True)[: len(alone)]
    assert all(missed[classes.index(name), classes.index(name)] == n for name, n in alone)
    rows = read.table("missed in the same image")
    pairs = [(row["missed in the same image"].split(" and "), int(row["images"])) for row in rows]
    want = sorted(missed[np.triu_indices(20, 1)], reverse=True)
    assert [n for _, n in pairs] == want[: len(pairs)]
    assert all(missed[classes.index(a), classes.index(b)] == n for (a, b), n in pairs)


def test_the_worst_mistakes_are_those_of_eval(written: Any) -> None:
    """Of each class and kind the three with the greatest loss, in order, with all counted."""
    file, read, _ = written
    titles = {
        "false_positive": "predicted, not labeled",
        "false_negative": "labeled, not predicted",
    }
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    with file.with_name("m.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            found.setdefault((row["class"], titles[row["kind"]]), []).append(row)
    shown = {
        key: texts
        for key, texts in read.strips.items()
        if key[1].startswith(tuple(titles.values()))
    }
    assert len(shown) == len(found) > 20
    for (name, kind), rows in found.items():
        more = ", 3 shown" if len(rows) > 3 else ""
        texts = shown[name, f"{kind}: {len(rows)}{more}"]
        assert len(texts) == min(len(rows), 3)
        for text, row in zip(texts, rows, strict=False):
            assert text.startswith(f"{float(row['probability']):.2f} ")
            assert text.endswith(row["path"])


def test_nothing_comes_from_elsewhere(written: Any) -> None:
    """No script, no address but data:, and a policy that forbids the rest."""
    file, read, _ = written
    for tag, attributes in read.elements:
        assert tag not in ("script", "link", "iframe", "object", "a")
        for name in ("src", "href", "srcset", "xlink:href", "data", "action"):
            assert str(attributes.get(name, "data:")).startswith("data:")
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"url\(|@import|https?:", file.read_text("utf-8").split("</style>")[0])
    policies = [attributes for tag, attributes in read.elements if "http-equiv" in attributes]
    assert [one["content"] for one in policies] == [
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    ]


def test_thumbnails_are_small_jpegs(written: Any) -> None:
    """At most 192 pixels a side, of the images of the set."""
    _, read, _ = written
    images = read.images
    assert len(images) > 20
    assert all(image.format == "JPEG" and max(image.size) <= 192 for image in images)


def test_errors_are_listed_by_reason(written: Any) -> None:
    """With their paths and details as text."""
    _, read, _ = written
    assert read.cards["errors"] == ("2", "4.17% of the images")
    assert "truncated: 1" in read.headings
    assert "empty: 1" in read.headings
    (text,) = next(texts for (_, title), texts in read.strips.items() if "truncated" in title)
    assert text.startswith("ends early <b>")


def test_equal_inputs_give_equal_bytes(
    written: Any, predictions: Path, packed: Path, voc_tree: Path
) -> None:
    """The function and the command write the same file; an existing one stays unless asked."""
    file, _, evaluated = written
    again = file.with_name("again.html")
    few = {"resamples": 50, "images_per_class": 3}
    done = vs.report(predictions, again, labels=packed, images=voc_tree, **few)
    assert again.read_bytes() == file.read_bytes()
    assert (done.images, done.errors, done.judged) == (48, 2, evaluated["pictures"])
    assert done.mean_average_precision == evaluated["mean_average_precision"]
    assert (done.bytes, done.left_out) == (again.stat().st_size, 0)
    with pytest.raises(ReportError, match="already exists"):
        vs.report(predictions, again)
    assert again.read_bytes() == file.read_bytes()
    vs.report(predictions, again, overwrite=True, images_per_class=0)
    assert again.read_bytes() != file.read_bytes()


def test_hostile_names_are_text(tmp_path: Path) -> None:
    """Markup, line ends and bytes that are not text, in paths, classes and the heading."""
    classes = ("<script>x</script>", 'a"b&c', "line\nend")
    drawn = draw(12, classes, names=HOSTILE, failing=(1, 4))
    source = drawn.write(tmp_path / "<b>p.parquet", record=drawn.record(command="<i>\udce9"))
    vs.report(source, tmp_path / "r.html", heading="<u>\udce9\n")
    read = ReadReport(tmp_path / "r.html")
    assert not {"script", "u"} & {tag for tag, _ in read.elements}
    assert read.headings[0] == "<u>\\xe9\\n"
    assert {row["class"] for row in read.table("class")} == {
        "<script>x</script>", 'a"b&c', "line\\nend",
    }  # fmt: skip
    for path in ("<script>alert(1)</script>.jpg", "line\\nend.jpg", "caf\\xe9.jpg", "日本.jpg"):
        assert path in read.text
    assert "<i>\\xe9" in read.text


def test_without_labels_and_images(tmp_path: Path) -> None:
    """The most probable and the least certain images of each class; a tile says what is missing."""
    drawn = draw(30, failing=(3,))
    done = vs.report(drawn.write(tmp_path / "p.csv"), tmp_path / "r.html", images_per_class=2)
    read = ReadReport(tmp_path / "r.html")
    assert (done.mean_average_precision, done.judged, done.thumbnails) == (None, 0, 0)
    assert "mAP" not in read.cards
    assert any(note.startswith("No labels were named or found") for note in read.notes)
    shown = sum(map(len, read.strips.values()))
    assert read.text.count("the folder of the images is unknown; name it (images)") == shown == 13
    assert "no record beside the predictions" in read.text
    fine = np.delete(drawn.probabilities, 3, axis=0)
    for c, name in enumerate(drawn.classes):
        (row,) = [row for row in read.table("class") if row["class"] == name]
        assert row["predicted"] == str((fine[:, c] >= 0.5).sum())
        strips = {
            kind.partition(":")[0]: texts for (of, kind), texts in read.strips.items() if of == name
        }
        top = sorted(fine[:, c], reverse=True)[:2]
        near = sorted(abs(fine[:, c] - 0.5))[:2]
        assert [float(text.split()[0]) for text in strips["most probable"]] == pytest.approx(
            top, abs=0.0051
        )
        found = [abs(float(text.split()[0]) - 0.5) for text in strips["nearest to the threshold"]]
        assert found == pytest.approx(near, abs=0.0051)


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_few_rows_or_only_errors(rows: int, tmp_path: Path) -> None:
    """No row, and rows that are all errors."""
    drawn = draw(rows, failing=range(rows))
    vs.report(drawn.write(tmp_path / "p.csv"), tmp_path / "r.html")
    read = ReadReport(tmp_path / "r.html")
    assert read.cards["image" if rows == 1 else "images"][0] == str(rows)
    assert read.cards["error" if rows == 1 else "errors"][0] == str(rows)
    assert sum(map(len, read.strips.values())) == rows


def test_one_class(tmp_path: Path) -> None:
    """One class and one bin of probabilities."""
    drawn = draw(3, ["only"])
    vs.report(drawn.write(tmp_path / "p.jsonl"), tmp_path / "r.html")
    assert [row["class"] for row in ReadReport(tmp_path / "r.html").table("class")] == ["only"]


def test_probabilities_that_were_not_written(drawn: Drawn, packed: Path, tmp_path: Path) -> None:
    """There are no metrics then, and the report says why."""
    from vocscore.scoring.formats.selection import Selection

    source = drawn.write(
        tmp_path / "p.csv", selection=Selection(min_probability=0.6), record=drawn.record()
    )
    vs.report(source, tmp_path / "r.html", labels=packed, images_per_class=1)
    read = ReadReport(tmp_path / "r.html")
    assert any("not written" in note for note in read.notes)
    assert any("no metrics can be computed" in note for note in read.notes)
    assert "mAP" not in read.cards


def test_training_images_are_told(drawn: Drawn, packed: Path, tmp_path: Path) -> None:
    """If the model was trained on everything, the metrics are said to be biased."""
    on = TrainedOn(
        shards=str(packed),
        shards_sha256="0" * 64,
        train_splits=("train", "val", "test"),
        val_splits=(),
        chosen=(),
    )
    source = drawn.write(tmp_path / "p.csv", record=drawn.record(trained_on=on))
    vs.report(source, tmp_path / "r.html", resamples=0, images_per_class=1)
    read = ReadReport(tmp_path / "r.html")
    assert any(note.startswith("NOT HELD OUT: 46 of the 46 images") for note in read.notes)
    assert "95% interval" not in read.table("class", "with the label")[0]


def test_a_large_report_leaves_images_out(
    predictions: Path, packed: Path, voc_tree: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """The file stays within its limit, and the number left out is in it."""
    monkeypatch.setattr("vocscore.reporting.report.MOST_BYTES", 100_000)
    file = tmp_path / "r.html"
    done = vs.report(predictions, file, labels=packed, images=voc_tree, resamples=0)
    read = ReadReport(file)
    assert done.left_out > 0
    assert any(f"Further examples ({done.left_out}) are left out" in note for note in read.notes)
    assert sum(len(texts) for (_, title), texts in read.strips.items() if title) == done.thumbnails
    assert len(read.images) == done.thumbnails > 5
    assert sum(len(str(a["src"])) for tag, a in read.elements if tag == "img") <= 100_000


def test_outputs_that_are_refused(predictions: Path, tmp_path: Path) -> None:
    """One line that says the cure, before anything is read."""
    (tmp_path / "folder.html").mkdir()
    for name, message in (
        ("r.pdf", "Name a file that ends in .html"),
        ("folder.html", "is a folder"),
        ("none/r.html", "no such folder"),
    ):
        with pytest.raises(ReportError, match=message):
            vs.report(predictions, tmp_path / name)
        done = CliRunner().invoke(main, ["report", str(predictions), "-o", str(tmp_path / name)])
        assert done.exit_code == 2
        assert len(done.stderr.splitlines()) == 1


def full(*_: object) -> None:
    """A disk that is full, in the place of `os.fsync`."""
    raise OSError(28, "No space left on device")


def test_a_full_cache_is_named(predictions: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Where the columns do not fit, the line says where that is; nothing is left there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(EvalError, match=r"cannot be written to .*cache/vocscore/columns: no space"):
        vs.report(predictions, tmp_path / "r.html", images_per_class=0)
    assert not list((tmp_path / "cache" / "vocscore" / "columns").iterdir())


def test_a_failed_report_leaves_the_old_one(
    predictions: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """A full disk is one line; the file is the old one, and no other file is left."""
    file = tmp_path / "r.html"
    file.write_text("old")
    open_table(predictions)  # its columns are in the cache from here on
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ReportError, match="cannot be written: no space left on device"):
        vs.report(predictions, file, overwrite=True, images_per_class=0)
    assert [one.name for one in tmp_path.iterdir()] == ["r.html"]
    assert file.read_text() == "old"


def test_many_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand classes have a row each, and their images, which are gone, a limit."""
    monkeypatch.setattr("vocscore.reporting.report.MOST_BYTES", 1 << 20)
    generator = np.random.default_rng(0)
    classes = tuple(f"class {c}" for c in range(1000))
    names = tuple(f"{'long/' * 100}{n}.jpg" for n in range(5))
    drawn = Drawn(names, classes, generator.random((5, 1000), dtype=np.float32), {})
    done = vs.report(drawn.write(tmp_path / "p.parquet"), tmp_path / "r.html")
    read = ReadReport(tmp_path / "r.html")
    assert len(read.table("class")) == 1000
    assert done.left_out + sum(map(len, read.strips.values())) == 10_000
    assert done.bytes < 6 << 20
