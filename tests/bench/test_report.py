"""The README's figures are what `make report` makes from the rows, and never typed by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from bench import report
from bench.outcome import Outcome
from bench.results import FOLDER, save
from bench.timing import Rate

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = {"processor": "P", "cores": 2, "gpu": None, "commit": "abc", "date": "2026-01-01"}


def _row(ours: float, *, backbone: str = "resnet18", **environment: Any) -> dict[str, Any]:
    outcome = Outcome(
        contest="score",
        title=f"score, {backbone}",
        rates={
            "usual|loop": Rate((10.0,)),
            "model ceiling": Rate((50.0,)),
            "vocscore score": Rate((ours,)),
        },
        baseline="usual|loop",
        walls={"vocscore score": "model ceiling"},
        absent={"peer": "not\ninstalled | at all"},
        key={"backbone": backbone, "kind": "voc"},
        facts={"images": "20 drawn ones"},
    )
    return {**outcome.row(), "environment": {**ENVIRONMENT, **environment}}


def _write(folder: Path, *rows: dict[str, Any]) -> Path:
    folder.mkdir()
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "score.jsonl").write_text(text)
    return folder


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    """A README with text around the markers, and an old figure between them."""
    file = tmp_path / "README.md"
    file.write_text(f"before\n{report.BEGIN}\nold 12345\n{report.END}\nafter\n")
    return file


def test_this_readme_is_what_the_rows_make() -> None:
    """Whoever edits a figure, or adds a row without `make report`, breaks this."""
    rows = report.newest(report.read_rows(FOLDER))
    text = report.README.read_text()
    assert text == report.between_markers(text, report.summary(rows))
    assert report.PAGE.read_text() == report.tables(rows)


def test_the_newest_row_of_each_kind_and_machine_counts(tmp_path: Path) -> None:
    """An older row of the same contest, key and machine is not shown; others are."""
    rows = [_row(20.0), _row(30.0), _row(35.0, backbone="alexnet"), _row(40.0, cores=16)]
    found = report.newest(report.read_rows(_write(tmp_path / "rows", *rows)))
    assert found == rows[1:]


def test_rows_become_a_summary_and_tables(tmp_path: Path, readme: Path) -> None:
    """Rate, ratio, ceiling, share, machine and commit stand there; text around them stays."""
    page, chart = tmp_path / "page.md", tmp_path / "chart.png"
    rows = _write(tmp_path / "rows", _row(40.0))
    report.write_report(rows, readme=readme, page=page, chart=chart)
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "12345" not in text
    assert "P, 2 cores" in text
    assert "| **score, resnet18** (at abc) | | | |" in text
    assert (
        "| vocscore score | 40.0 images/s | 4.00 x usual\\|loop | 80% of model ceiling (50.0) |"
    ) in text
    assert "| peer | | | | absent: not installed \\| at all |" in page.read_text()
    assert "20 drawn ones." in page.read_text()
    again = report.write_report(rows, readme=readme, page=page, chart=chart)
    assert readme.read_text() == text, again


def test_the_machine_measured_last_comes_first_and_has_the_chart() -> None:
    """Tables of every machine; bars of one."""
    old, new = _row(40.0), _row(30.0, processor="Q", date="2026-02-01")
    text = report.summary([new, old])
    assert 0 < text.index("Q, 2 cores:") < text.index("P, 2 cores:")
    assert [one.rates["vocscore score"].median for one in report.drawn([old, new])] == [30.0]
    assert report.drawn([]) == []


def test_the_chart_is_drawn_and_equal_rows_give_equal_images(tmp_path: Path, readme: Path) -> None:
    """A PNG as wide as it should be, without a date in it."""
    rows = _write(tmp_path / "rows", _row(40.0), _row(41.0, backbone="alexnet"))
    charts = [tmp_path / "one.png", tmp_path / "two.png"]
    for chart in charts:
        report.write_report(rows, readme=readme, page=tmp_path / "page.md", chart=chart)
    assert charts[0].read_bytes() == charts[1].read_bytes()
    with Image.open(charts[0]) as image:
        assert image.width > 800


def test_a_readme_without_markers_is_refused() -> None:
    """Nothing is written beside the place."""
    with pytest.raises(ValueError, match="bench:begin"):
        report.between_markers("no markers", "tables")


def test_a_saved_row_knows_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row in the file is the row returned: the outcome, the date, the machine, the commit."""
    monkeypatch.setattr("bench.results._commit", lambda: "abc")
    outcome = Outcome(contest="x", title="x", rates={"a": Rate((1.0,))})
    file, row = save(outcome, tmp_path / "new" / "rows")
    assert json.loads(file.read_text()) == json.loads(json.dumps(row))
    assert {"date", "processor", "cores", "gpu", "python", "packages", "commit"} <= set(
        row["environment"]
    )
    assert {"openvino", "nncf", "webdataset"} <= set(row["environment"]["packages"])
    save(outcome, tmp_path / "new" / "rows")
    assert len(file.read_text().splitlines()) == 2
