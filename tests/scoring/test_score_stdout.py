"""`vocscore score -o -`: rows on standard output, everything else on standard error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from mutations import good_jpegs
from tiny_network import make_checkpoint

from vocscore.cli.main import main


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Twelve images, two of them bad; one name is not UTF-8."""
    folder = tmp_path_factory.mktemp("in")
    for number, data in enumerate(good_jpegs()[:12]):
        (folder / f"{number:02d}.jpg").write_bytes(data[:200] if number in (3, 7) else data)
    (folder / "01.jpg").rename(folder / os.fsdecode(b"01\xe9, x.jpg"))
    return folder


def command(*words):
    """The result of `vocscore score` on the CPU, in small units."""
    more = ["--device", "cpu", "--unit-size", 5, "--loader", "host"]
    done = CliRunner().invoke(main, ["score", *map(str, [*words, *more])])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("csv", []),
        ("csv", ["--format", "csv", "--top-k", "2", "--decimals", "3"]),
        ("jsonl", ["--format", "jsonl", "--columns", "labels"]),
    ],
)
def test_the_rows_are_those_of_a_file(source, checkpoint, tmp_path, form, options):
    """The same bytes; the summary is on standard error."""
    file_options = [word for word in options if word not in ("--format", form)]
    want = tmp_path / f"p.{form}"
    assert command(source, "-m", checkpoint, "-o", want, *file_options).exit_code == 0
    done = command(source, "-m", checkpoint, "-o", "-", *options)
    assert done.exit_code == 0
    assert done.stdout_bytes == want.read_bytes()
    assert "images: 12\nerrors: 2 (2 truncated)\n" in done.stderr
    assert "predictions:" not in done.stderr
    quiet = command(source, "-m", checkpoint, "-o", "-", "--quiet", *options)
    assert (quiet.stdout_bytes, quiet.stderr) == (want.read_bytes(), "")


def test_a_file_called_minus_is_named_with_its_folder(source, checkpoint, tmp_path, monkeypatch):
    """'./-' is a path; the folder of parts is written there."""
    monkeypatch.chdir(tmp_path)
    done = command(source, "-m", checkpoint, "-o", "./-", "--format", "jsonl")
    assert done.exit_code == 0
    assert len(list((tmp_path / "-").iterdir())) == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--format", "parquet"], "Parquet cannot be written to standard output. Name a file"),
        (["--overwrite"], "--overwrite and --update need a file. Name one with -o, or omit them."),
        (["--update"], "--overwrite and --update need a file."),
    ],
)
def test_what_needs_a_file_is_refused(source, checkpoint, words, says):
    """Exit code 2, one line, no rows."""
    done = command(source, "-m", checkpoint, "-o", "-", *words)
    assert done.exit_code == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout_bytes == b""


def test_exit_codes_of_bad_inputs(source, checkpoint, tmp_path):
    """3 with --max-bad, whose rows were written, and 3 if every row is an error."""
    done = command(source, "-m", checkpoint, "-o", "-", "--max-bad", "0.1")
    assert done.exit_code == 3
    assert done.stdout_bytes.count(b"\n") == 13
    assert "2 of 12 inputs so far are bad" in done.stderr
    (tmp_path / "a.jpg").write_bytes(b"<html>")
    done = command(tmp_path, "-m", checkpoint, "-o", "-")
    assert done.exit_code == 3
    assert b"a.jpg,error,unsupported" in done.stdout_bytes
    assert "warning: every row is an error" in done.stderr
    assert "column 'error' of standard output" in done.stderr


def test_a_reader_that_leaves_ends_it_silently(source, tmp_path, tmp_path_factory):
    """141, as of any program; no traceback, no summary, no file in the folder or elsewhere."""
    checkpoint = make_checkpoint(tmp_path_factory.mktemp("real"), backbone="squeezenet1_1")
    line = (
        f'"{sys.executable}" -m vocscore score "{source}" -m "{checkpoint}" -o - --device cpu '
        f"| true; exit ${{PIPESTATUS[0]}}"  # 'head' would have to be faster than scoring
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "TMPDIR": str(tmp_path),
    }
    done = subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=tmp_path,
    )
    assert done.returncode == 141
    assert [line for line in done.stderr.splitlines() if not line.startswith("score: ")] == []
    assert list(tmp_path.iterdir()) == []
