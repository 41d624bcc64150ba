"""What is scored from object storage: the bytes of the same run on files."""

from __future__ import annotations

import json
import tarfile

import pytest
from click.testing import CliRunner
from mutations import good_jpegs
from tiny_network import make_checkpoint

from vocscore.cli.main import main

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Twelve images in two folders, four of them bad."""
    folder = tmp_path_factory.mktemp("source")
    for number, data in enumerate(good_jpegs()[:12]):
        file = folder / f"{number % 2}" / f"{number:02d}.jpg"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data[:200] if number in (3, 4, 7) else data)
    (folder / "1/09.jpg").write_bytes(b"<html>")
    return folder


def command(*words):
    """Standard output and error of a command that succeeds."""
    done = CliRunner().invoke(main, list(map(str, words)))
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def score(checkpoint, tmp_path):
    """Scores a source; returns the bytes of the output and the record."""

    def scored(source, *more, output="o.csv"):
        file = tmp_path / output
        words = ("-m", checkpoint, "-o", file, "--unit-size", 5, "--device", "cpu")
        command("score", source, *words, *more)
        return file.read_bytes(), json.loads((tmp_path / f"{output}.json").read_bytes())

    return scored


def test_a_prefix_is_scored_as_the_folder(source, score, storage):
    """The same bytes and the same listing; the record has the URL; once more is nothing to do."""
    url = storage.put_tree(source, "a/in")
    rows, record = score(source, output="local.csv")
    assert rows.count(b".jpg,error,") == 4
    found, told = score(f"{url}/")
    assert found == rows
    assert told["source"] == {**record["source"], "given": f"{url}/", "path": url}
    before = storage.layer.requests.total()
    assert score(url) == (found, told)
    assert storage.layer.requests.total() - before < 6  # it was listed only


def test_tars_and_one_tar_are_scored_as_files(source, score, storage, tmp_path):
    """Tars below a prefix, and one by its name."""
    (tmp_path / "tars").mkdir()
    for name in ("0", "1"):
        with tarfile.open(tmp_path / f"tars/{name}.tar", "w") as tar:
            tar.add(source / name, arcname=name)
    url = storage.put_tree(tmp_path / "tars", "t")
    assert score(url)[0] == score(tmp_path / "tars", output="local.csv")[0]
    one = score(tmp_path / "tars/1.tar", output="one.csv")[0]
    assert score(f"{url}/1.tar", output="remote.csv")[0] == one


def test_a_list_is_scored_as_a_file(source, score, storage, tmp_path):
    """In the order of the list; its lines are relative to its place."""
    names = [f"{name.relative_to(source)}\n" for name in source.rglob("*.jpg")]
    text = "".join(sorted(names, reverse=True)) + "1/gone.jpg\n"
    (source / "l.txt").write_text(text)
    url = storage.put_tree(source, "a/in")
    (source / "l.txt").rename(tmp_path / "l.txt")
    for name in ("0", "1"):
        (tmp_path / name).symlink_to(source / name)
    found = score(f"{url}/l.txt")[0]
    assert found == score(tmp_path / "l.txt", output="local.csv")[0]
    assert b"1/gone.jpg,error,vanished" in found


def test_jobs_on_storage_score_one_listing(source, checkpoint, score, storage, tmp_path):
    """What is added after the first job has begun belongs to no unit of the run."""
    url = storage.put_tree(source, "a/in")
    words = ("-m", checkpoint, "-o", tmp_path / "o.csv", "--unit-size", 5, "--device", "cpu")
    command("score", url, *words, "--units", "1/2")
    storage.put("a/in/0/00-added.jpg", b"")
    command("score", url, *words, "--units", "2/2")
    command("merge", tmp_path / "o.csv")
    assert (tmp_path / "o.csv").read_bytes() == score(source, output="local.csv")[0]
