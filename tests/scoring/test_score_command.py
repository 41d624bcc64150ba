"""`vocscore score` as a person types it, with bad files: exit codes, one line, the way on."""

from __future__ import annotations

import csv
import io
import json
import os
import tarfile

import pytest
from click.testing import CliRunner
from mutations import good_jpegs
from tiny_network import make_checkpoint, read

from vocscore.cli.main import main

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture
def source(tmp_path):
    """Twelve images in two folders, four of them bad."""
    for number, data in enumerate(good_jpegs()[:12]):
        file = tmp_path / "in" / f"{number % 2}" / f"{number:02d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data[:200] if number in (3, 4, 7) else data)
    (tmp_path / "in/1/09.jpg").write_bytes(b"<html>")
    return tmp_path / "in"


def command(*words, **options):
    """Exit code, standard output and error of `vocscore score`."""
    done = CliRunner().invoke(main, ["score", *map(str, words), "--device", "cpu"], **options)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def test_max_bad_ends_with_exit_code_3_and_one_line_and_a_higher_one_goes_on(
    source, checkpoint, tmp_path
):
    """Exit code 3, numbers, reasons and the way on in one line; then 0, nothing scored twice."""
    words = [source, "-m", checkpoint, "-o", tmp_path / "o.csv"]
    code, told = command(*words, "--max-bad", "0.3", "--quarantine", tmp_path / "q")
    assert code == 3
    *stages, line = told.splitlines()
    assert all(stage.startswith("score: ") for stage in stages)
    assert "4 of 12 inputs so far are bad (3 truncated, 1 unsupported)" in line
    assert "more than --max-bad 0.3 allows" in line
    assert not (tmp_path / "o.csv").exists()
    with (tmp_path / "q/quarantine.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    bad = ["0/04.jpg", "1/03.jpg", "1/07.jpg", "1/09.jpg"]
    assert [row["path"] for row in table] == bad
    for row in table:
        assert (tmp_path / "q" / row["copy"]).read_bytes() == (source / row["path"]).read_bytes()
    code, told = command(*words, "--max-bad", "0.4")
    assert code == 0
    assert "images: 12 (12 of them by an earlier run)" in told
    rows = read(tmp_path / "o.csv")
    assert [name for name, row in rows.items() if row["status"] == "error"] == bad


def test_globs_are_part_of_what_a_resumed_run_has_to_have_in_common(source, checkpoint, tmp_path):
    """Other patterns are other inputs: refused, with both patterns named."""
    words = [source, "-m", checkpoint, "-o", tmp_path / "o.csv", "--exclude", "*/09.jpg"]
    assert command(*words, "--max-bad", "0.01")[0] == 3
    code, told = command(*words, "--include", "0/*")
    assert code == 2
    assert "the include ([] there, ['0/*'] now)" in told
    assert command(*words)[0] == 0
    assert "1/09.jpg" not in read(tmp_path / "o.csv")


def test_a_list_on_standard_input_goes_through_the_patterns(source, checkpoint, tmp_path):
    """'-' takes a list as 'find' writes it; its absolute paths are the rows' names."""
    names = [str(path) for path in sorted(source.rglob("*.jpg"))]
    words = ["-", "-m", checkpoint, "-o", tmp_path / "o.csv", "--include", "*/1/*"]
    code, _ = command(*words, input="\n".join(names))
    assert code == 0
    assert list(read(tmp_path / "o.csv")) == [name for name in names if "/1/" in name]


def test_a_quarantine_in_the_way_and_patterns_that_leave_nothing_are_one_line(
    source, checkpoint, tmp_path
):
    """All are known before the network is loaded: exit code 2, one line, nothing left behind."""
    words = [source, "-m", checkpoint, "-o", tmp_path / "o.csv"]
    for more, said in (
        (["--quarantine", source / "q"], "copies would become inputs"),
        (["--quarantine", tmp_path], "not the quarantine of these inputs"),
        (["--include", "*.JPG"], "--include '*.JPG' leaves none of its 12 images"),
    ):
        code, told = command(*words, *more)
        assert code == 2
        assert said in told
        assert len([line for line in told.splitlines() if not line.startswith("score: ")]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_an_output_of_errors_alone_ends_with_exit_code_3_and_a_warning(
    source, checkpoint, tmp_path
):
    """The output is there and complete; --quiet or not, a warning says that nothing was scored."""
    (tmp_path / "bad").mkdir()
    for name in ("a.jpg", "b.png"):
        (tmp_path / "bad" / name).write_bytes(b"<html>")
    words = [tmp_path / "bad", "-m", checkpoint, "-o", tmp_path / "o.csv"]
    for quiet in ([], ["--quiet"]):
        code, told = command(*words, "--overwrite", *quiet, "--json", tmp_path / "s.json")
        assert code == 3
        assert "warning: every row is an error (2 unsupported)" in told
        assert [row["status"] for row in read(tmp_path / "o.csv").values()] == ["error"] * 2
        assert json.loads((tmp_path / "s.json").read_bytes())["errors"] == 2
        assert not list(tmp_path.glob("*.parts"))
    (tmp_path / "bad/c.jpg").write_bytes(good_jpegs()[0])
    code, told = command(*words, "--overwrite")
    assert code == 0
    assert "warning" not in told


def test_what_is_skipped_is_listed_by_kind(source, checkpoint, tmp_path):
    """In the summary and in --json, of folders and of what is in tars."""
    (tmp_path / "t").mkdir()
    with tarfile.open(tmp_path / "t/a.tar", "w") as tar:
        for name, data in {"a.jpg": good_jpegs()[0], "a.json": b"{}", "b.json": b"{}"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    (tmp_path / "t/n.txt").touch()
    (tmp_path / "t/._a.tar").touch()
    words = [tmp_path / "t", "-m", checkpoint, "-o", tmp_path / "o.csv"]
    code, told = command(*words, "--json", tmp_path / "s.json")
    assert code == 0
    assert "files skipped: 4 (.json 2, .txt 1, hidden .tar 1)" in told
    summary = json.loads((tmp_path / "s.json").read_bytes())
    assert summary["skipped"] == 4
    assert summary["skipped_kinds"] == {".json": 2, ".txt": 1, "hidden .tar": 1}


def test_urls_are_refused_by_their_own_names(source, checkpoint, tmp_path, monkeypatch):
    """As source, model, output, quarantine and summary: exit code 2, one line, nothing made."""
    monkeypatch.chdir(tmp_path)
    good = {"src": source, "-m": checkpoint, "-o": tmp_path / "o.csv"}
    for option, url in (
        ("src", "hdfs://bucket/photos"),
        ("-m", "hdfs://bucket/run"),
        ("-o", "https://host/o.csv"),
        ("--quarantine", "https://host/q"),
        ("--json", "https://host/s.json"),
    ):
        src, *options = (good | {option: url}).items()
        words = [src[1], *(word for pair in options for word in pair)]
        code, told = command(*words)
        assert code == 2
        (line,) = told.splitlines()
        assert f"{url}: " in line
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_list_through_a_named_pipe_is_refused_with_the_way_on(checkpoint, tmp_path):
    """/dev/stdin and the like are pipes: the line says that '-' is standard input."""
    os.mkfifo(tmp_path / "l.txt")
    code, told = command(tmp_path / "l.txt", "-m", checkpoint, "-o", tmp_path / "o.csv")
    assert code == 2
    assert "a named pipe, not a file" in told
    assert "give '-'" in told


def test_a_model_that_is_a_pipe_is_refused(source, tmp_path):
    """A checkpoint's files are ordinary ones."""
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run/model.json")
    code, told = command(source, "-m", tmp_path / "run", "-o", tmp_path / "o.csv")
    assert code == 2
    assert "model.json: a named pipe, not a file" in told


def test_memory_for_images_changes_no_byte(source, checkpoint, tmp_path):
    """Neither rows, nor what a finished output has to agree with."""
    words = [source, "-m", checkpoint, "--workers", 4]
    assert command(*words, "-o", tmp_path / "a.csv")[0] == 0
    assert command(*words, "-o", tmp_path / "b.csv", "--image-memory", 1)[0] == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    code, told = command(*words, "-o", tmp_path / "a.csv", "--image-memory", 7)
    assert code == 0
    assert "already complete" in told
    code, told = command(*words, "-o", tmp_path / "a.csv", "--image-memory", 0)
    assert code == 2
    assert "--image-memory" in told.splitlines()[-1]
