"""Outputs on object storage have the bytes of local ones, and appear as a whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from tiny_network import make_checkpoint, make_images, run

from shards.errors import StorageError
from vocscore.cli.main import main
from vocscore.errors import ScoreError
from vocscore.scoring.output.mirrored import mirrored, refresh, url_of

if TYPE_CHECKING:
    from s3_server import Bucket

NAMES = [f"{number:03d}.jpg" for number in range(45)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run."""
    return make_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """45 images, two of them bad."""
    (tmp_path / "photos").mkdir()
    return make_images(tmp_path / "photos", NAMES, bad={3, 30})


def command(*words: object) -> tuple[int, str]:
    """Run a command."""
    done = CliRunner().invoke(main, [str(word) for word in words])
    return done.exit_code, done.output


def options(checkpoint: Path) -> tuple[object, ...]:
    """As `tiny_network.run` has them."""
    sizes = ("--batch-size", 16, "--unit-size", 20, "--workers", 2)
    return ("-m", checkpoint, "--device", "cpu", "--loader", "host", *sizes, "--quiet")


def test_text() -> None:
    """An output on storage is called by its URL, and is a file of the cache for the system."""
    path = mirrored("s3://bucket/a b/p.csv")
    assert str(path) == f"{path}" == url_of(path) == "s3://bucket/a b/p.csv"
    assert str(path.with_name("p.csv.json")) == "s3://bucket/a b/p.csv.json"
    assert (path.suffix, path.name) == (".csv", "p.csv")
    assert os.fspath(path).startswith("/")
    assert url_of(Path("p.csv")) is None
    with pytest.raises(ScoreError, match="a bucket"):
        mirrored("s3://bucket")


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_file(storage: Bucket, photos: Path, checkpoint: Path, tmp_path: Path, suffix: str) -> None:
    """Same bytes, a record beside it, no parts left; the same command does nothing."""
    run(photos, tmp_path / f"p.{suffix}", checkpoint)
    url = storage.url(f"out/p.{suffix}")
    words = ("score", photos, "-o", url, *options(checkpoint))
    assert command(*words) == (0, "")
    assert storage.get(f"out/p.{suffix}") == (tmp_path / f"p.{suffix}").read_bytes()
    names = [f"out/p.{suffix}", f"out/p.{suffix}.files.npy", f"out/p.{suffix}.json"]
    assert storage.keys() == names
    assert storage.uploads() == []
    storage.layer.reset()
    assert command(*words) == (0, "")
    assert storage.layer.requests["PUT"] == 0
    code, told = command(*words, "--decimals", 2)
    assert code == 2
    assert f"{url}: already exists and differs" in told
    assert command(*words, "--decimals", 2, "--overwrite") == (0, "")


def test_folder(storage: Bucket, photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """With --format, the parts are those of a local folder."""
    run(photos, tmp_path / "p", checkpoint, format="csv")
    words = ("score", photos, "-o", storage.url("p"), "--format", "csv", *options(checkpoint))
    assert command(*words) == (0, "")
    for part in (tmp_path / "p").iterdir():
        assert storage.get(f"p/{part.name}") == part.read_bytes()
    assert len(storage.keys()) == len(list((tmp_path / "p").iterdir())) + 1
    assert command(*words) == (0, "")


def test_resume(
    storage: Bucket,
    photos: Path,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was committed before an error is not scored again, also on another machine."""
    run(photos, tmp_path / "p.csv", checkpoint)
    words = ("score", photos, "-o", storage.url("p.csv"), *options(checkpoint))
    fault = storage.layer.add("refuse", status=403, keys=r"mark-.*000002", methods=("PUT",))
    code, told = command(*words)
    assert code == 2
    assert "denied" in told
    assert storage.url("p.csv") not in map(storage.url, storage.keys())
    fault.times = fault.done
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    storage.layer.reset()
    assert command(*words[:-1])[0] == 0
    assert storage.get("p.csv") == (tmp_path / "p.csv").read_bytes()
    marks = [line for line in storage.layer.log if "PUT" in line and "mark-" in line]
    assert len(marks) == 1


def test_jobs(storage: Bucket, photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Two jobs and a merge give the bytes of one process; lost answers change nothing."""
    run(photos, tmp_path / "p.csv", checkpoint)
    url = storage.url("p.csv")
    storage.layer.add("lose", status=503, keys="mark-|part-|plan", methods=("PUT",), times=6)
    for units in ("1/2", "2/2"):
        if units == "2/2":
            code, told = command("merge", url)
            assert code == 4
            assert "--array=2" in told
        assert command("score", photos, "-o", url, "--units", units, *options(checkpoint))[0] == 0
    code, told = command("merge", url, "--quarantine", tmp_path / "bad")
    assert code == 0, told
    assert storage.get("p.csv") == (tmp_path / "p.csv").read_bytes()
    assert (tmp_path / "bad" / "030.jpg").exists()
    assert sorted(storage.keys()) == ["p.csv", "p.csv.files.npy", "p.csv.json"]
    assert command("merge", url, "--quiet")[0] == 0


def test_what_cannot_be_there(storage: Bucket, photos: Path, checkpoint: Path) -> None:
    """Features, --update and storage that cannot be written are refused in one line."""
    url = storage.url("p.csv")
    for more in (("--features", "f.npy"), ("--update",)):
        code, told = command("score", photos, "-o", url, *more, *options(checkpoint))
        assert code == 2
        assert told.count("\n") == 1
    for output in ("https://host/p.csv", "hf://datasets/o/n/p.csv"):
        code, told = command("score", photos, "-o", output, *options(checkpoint))
        assert code == 2
        assert "only files are written" in told
    with pytest.raises(StorageError, match="no such bucket"):
        refresh(mirrored("s3://no-such-bucket-here/p.csv"))
    assert storage.keys() == []


def test_quarantine(storage: Bucket, photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Copies are uploaded as a local quarantine has them; that of another run is refused."""
    local = ("--quarantine", tmp_path / "q")
    words = ("score", photos, *options(checkpoint), "-o")
    assert command(*words, tmp_path / "p.csv", *local)[0] == 0
    assert command(*words, tmp_path / "q.csv", "--quarantine", storage.url("q")) == (0, "")
    made = {file.relative_to(tmp_path).as_posix(): file for file in (tmp_path / "q").rglob("*")}
    assert sorted(storage.keys()) == sorted(made)
    assert all(storage.get(name) == file.read_bytes() for name, file in made.items())
    code, told = command(
        *words, tmp_path / "r.csv", "--quarantine", storage.url("q"), "--exclude", "003.jpg"
    )
    assert code == 2
    assert f"{storage.url('q')}: not empty" in told


def test_the_mirror_of_another_process(storage: Bucket) -> None:
    """Jobs on one machine begin at once: none sees the output vanish that another looks up."""
    storage.put("p.csv", b"12345")
    output = mirrored(storage.url("p.csv"))
    refresh(output)
    asks = "import os; from vocscore.scoring.output.mirrored import mirrored as m"
    code = f"{asks}; print(os.fspath(m('{storage.url('p.csv')}')))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() != os.fspath(output)
    assert output.stat().st_size == 5


def test_a_quarantine_in_the_source(storage: Bucket, photos: Path, checkpoint: Path) -> None:
    """Its copies would be inputs of the next run: refused before anything is scored."""
    url = storage.put_tree(photos, "set")
    words = ("score", url, "-o", storage.url("p.csv"), *options(checkpoint))
    code, told = command(*words, "--quarantine", f"{url}/bad")
    assert code == 2
    assert "would become inputs" in told
    assert command(*words, "--quarantine", storage.url("settle"))[0] == 0
