"""The published figures are what `make report` makes from the rows, and never typed by hand."""

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
OURS = "vocscore score, default"


def _row(ours: float, *, backbone: str = "resnet18", **environment: Any) -> dict[str, Any]:
    outcome = Outcome(
        contest="score",
        title=f"score, {backbone}",
        rates={
            "usual|loop": Rate((10.0,)),
            "better": Rate((20.0,)),
            "model ceiling": Rate((50.0,)),
            OURS: Rate((ours,)),
        },
        peers=("usual|loop", "better"),
        ceilings={OURS: "model ceiling"},
        absent={"peer": "not\ninstalled | at all"},
        key={"backbone": backbone, "kind": "voc"},
        facts={"pictures": "20 drawn ones"},
    )
    return {**outcome.row(), "environment": {**ENVIRONMENT, **environment}}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A README and a page with text around the markers, and old figures between them."""
    (tmp_path / "rows").mkdir()
    found = {"readme": tmp_path / "README.md", "page": tmp_path / "page.md"}
    for file in found.values():
        file.write_text(f"before\n{report.BEGIN}\nold 12345\n{report.END}\nafter\n")
    return {**found, "chart": tmp_path / "chart.png"}


def _write(files: dict[str, Path], *rows: dict[str, Any]) -> Path:
    folder = files["page"].parent / "rows"
    (folder / "score.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_the_files_are_what_the_rows_make() -> None:
    """A figure edited by hand, or a row added without `make report`, breaks this."""
    rows = report.newest(report.read_rows(FOLDER))
    for file, part in ((report.README, report.caption(rows)), (report.PAGE, report.tables(rows))):
        text = file.read_text()
        assert text == report.between_markers(text, part)


def test_no_row_of_a_dirty_tree_is_shown(files: dict[str, Path]) -> None:
    """Nor one that knows no commit, nor one without rates."""
    rows = [_row(20.0), _row(30.0, commit="abc-dirty"), _row(30.0, commit=None)]
    assert report.read_rows(_write(files, *rows, {**rows[0], "rates": {}})) == rows[:1]
    assert "-dirty" not in report.PAGE.read_text()


def test_the_newest_row_of_each_kind_and_machine_counts(files: dict[str, Path]) -> None:
    """An older row of the same contest, key and machine is not shown; others are."""
    rows = [_row(20.0), _row(30.0), _row(35.0, backbone="alexnet"), _row(40.0, cores=16)]
    assert report.newest(report.read_rows(_write(files, *rows))) == rows[1:]


def test_rows_become_a_caption_and_tables(files: dict[str, Path]) -> None:
    """Rate, ratio to the best peer, ceiling, share, machine and commit; other text stays."""
    rows = _write(files, _row(40.0), _row(50.0, backbone="alexnet"))
    report.write_report(rows, **files)
    readme, page = files["readme"].read_text(), files["page"].read_text()
    for text in (readme, page):
        assert text.startswith("before\n")
        assert text.endswith("after\n")
        assert "12345" not in text
    assert "**2.0 to 2.5 times the best peer of the same run**" in readme
    assert "## P, 2 cores" in page
    assert "20 drawn ones; commit abc; 2026-01-01; best peer: better." in page
    assert f"| **{OURS}** | 40.0 | 0% | 2.00 | 80% of model ceiling (50.0) |" in page
    assert "| usual\\|loop | 10.0 | 0% | 0.50 |  |" in page
    assert "| peer | | | | absent: not installed \\| at all |" in page
    report.write_report(rows, **files)
    assert files["page"].read_text() == page


def test_the_machine_measured_last_comes_first() -> None:
    """Every machine has its tables."""
    text = report.tables([_row(40.0), _row(30.0, processor="Q", date="2026-02-01")])
    assert 0 <= text.index("## Q, 2 cores") < text.index("## P, 2 cores")
    known = {
        "Intel(R) Xeon(R) Processor (amx_bf16, avx512f)": ("Intel Xeon (AMX), 2 cores", "bf16"),
        "AMD EPYC (avx512f, avx512_bf16)": ("AMD EPYC (AVX-512), 2 cores", "bf16"),
        "AMD EPYC (avx2)": ("AMD EPYC (AVX2), 2 cores", "float32"),
        "another": ("another, 2 cores", "float32"),
    }
    for processor, words in known.items():
        row = _row(1.0, processor=processor)
        assert (report.short_machine(row), report.default_precision(row)) == words


def test_equal_rows_give_equal_charts(files: dict[str, Path]) -> None:
    """A small PNG without a date in it, with a panel per machine."""
    rows = _write(files, _row(40.0), _row(41.0, backbone="alexnet"), _row(50.0, cores=4))
    charts = []
    for _ in range(2):
        report.write_report(rows, **files)
        charts.append(files["chart"].read_bytes())
    assert charts[0] == charts[1]
    assert len(charts[0]) < 100_000
    with Image.open(files["chart"]) as image:
        assert image.width == 1520


def test_a_file_without_markers_is_refused() -> None:
    """Nothing is written beside the place."""
    with pytest.raises(ValueError, match="<!-- bench -->"):
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
