"""Scoring from object storage gives the bytes of scoring the same files on a disk."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from mutations import mutants
from tiny_network import make_checkpoint, make_images, read, run

from shards.errors import StorageError
from shards.remote import patience
from vocscore.cli.main import main
from vocscore.pipeline.scratch import scratch_folder

if TYPE_CHECKING:
    from s3_server import Bucket

NAMES = [f"{number:03d}.jpg" for number in range(45)]
BAD = {3, 30}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run."""
    return make_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """45 images, two of them bad."""
    (tmp_path / "photos").mkdir()
    return make_images(tmp_path / "photos", NAMES, bad=BAD)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No second thoughts about a request that failed."""
    monkeypatch.setattr(patience, "PAUSES", ())
    monkeypatch.setattr("shards.remote.opening.RETRY", {"max_retries": 0})


def test_loose_images(storage: Bucket, photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """One request per image; the rows are those of the folder, also those of bad images."""
    run(photos, tmp_path / "local.csv", checkpoint)
    url = storage.put_tree(photos, "some/photos")
    storage.layer.reset()
    report = run(url, tmp_path / "remote.csv", checkpoint)
    assert (tmp_path / "remote.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()
    assert (report.images, report.errors) == (45, 2)
    images = [line for line in storage.layer.log if line.endswith(".jpg")]
    assert len(images) == 45


def test_tars(storage: Bucket, photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Tars are fetched whole; their rows are those of the local tars; no copy stays."""
    tars = tmp_path / "tars"
    (tars / "sub").mkdir(parents=True)
    for name, files in {"a.tar": NAMES[:20], "sub/b.tar": NAMES[20:]}.items():
        with tarfile.open(tars / name, "w") as tar:
            for file in files:
                tar.add(photos / file, arcname=file)
    (tars / "sub" / "c.tar").write_bytes((tars / "a.tar").read_bytes()[:5000])
    run(tars, tmp_path / "local.csv", checkpoint)
    url = storage.put_tree(tars, "tars")
    storage.layer.reset()
    before = set(Path(scratch_folder()).iterdir())
    run(url, tmp_path / "remote.csv", checkpoint)
    assert (tmp_path / "remote.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()
    assert [line for line in storage.layer.log if "jpg" in line] == []
    assert set(Path(scratch_folder()).iterdir()) == before


def test_list_of_urls(storage: Bucket, photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Lines of a local list may be URLs; a key that is missing is a row that says so."""
    storage.put_tree(photos, "p")
    lines = [storage.url("p/000.jpg"), storage.url("p/no.jpg"), str(photos / "001.jpg")]
    (tmp_path / "l.txt").write_text("\n".join(lines))
    run(tmp_path / "l.txt", tmp_path / "o.csv", checkpoint)
    rows = read(tmp_path / "o.csv")
    assert list(rows) == lines
    assert [row["status"] for row in rows.values()] == ["ok", "error", "ok"]
    assert rows[lines[1]]["error"].startswith("vanished")


def test_refused(
    storage: Bucket, photos: Path, checkpoint: Path, tmp_path: Path, impatient: None
) -> None:
    """What the storage denies stops the run and is no row; the same call goes on."""
    url = storage.put_tree(photos, "p")
    fault = storage.layer.add("refuse", status=403, keys="/p/025.jpg")
    with pytest.raises(StorageError, match="denied"):
        run(url, tmp_path / "o.csv", checkpoint)
    assert not (tmp_path / "o.csv").exists()
    fault.times = fault.done  # it has passed
    report = run(url, tmp_path / "o.csv", checkpoint)
    assert (report.images, report.resumed, report.errors) == (45, 20, 2)
    run(photos, tmp_path / "local.csv", checkpoint)
    assert (tmp_path / "o.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()


def test_troubled_network(storage: Bucket, photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Refusals that pass and bodies that are cut change nothing."""
    url = storage.put_tree(photos, "p")
    storage.layer.add("refuse", status=503, keys="jpg$", times=10)
    storage.layer.add("cut", keys="jpg$", methods=("GET",), times=10)
    run(url, tmp_path / "o.csv", checkpoint)
    run(photos, tmp_path / "local.csv", checkpoint)
    assert (tmp_path / "o.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()


def test_quarantine(storage: Bucket, photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Bad inputs are copied from the storage."""
    url = storage.put_tree(photos, "p")
    run(url, tmp_path / "o.csv", checkpoint, quarantine=tmp_path / "bad")
    copies = sorted(file.name for file in (tmp_path / "bad").glob("*.jpg"))
    assert copies == ["003.jpg", "030.jpg"]
    assert (tmp_path / "bad" / "003.jpg").read_bytes() == (photos / "003.jpg").read_bytes()


def test_command(
    storage: Bucket, photos: Path, checkpoint: Path, tmp_path: Path, fetch_cache: Path
) -> None:
    """SRC and the model are URLs; the model is fetched once; no secret is in any file or line."""
    model = storage.put_tree(checkpoint, "runs/one")
    storage.put("runs/one/resume.pt", b"1" * (2 << 20))  # not needed
    url = storage.put_tree(photos, "p")
    words = ["score", url, "-m", model, "-o", str(tmp_path / "o.csv"), "--device", "cpu"]
    first = CliRunner().invoke(main, words)
    assert first.exit_code == 0, first.output
    assert "fetching" in first.output
    again = CliRunner().invoke(main, [*words[:-3], str(tmp_path / "p.csv"), "--device", "cpu"])
    assert again.exit_code == 0, again.output
    assert "fetching" not in again.output
    (fetched,) = fetch_cache.iterdir()
    names = {file.name for file in (fetched / "one").iterdir()}
    assert names == {"model.json", "model.safetensors"}
    written = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert not any(b"secret-of-the-test" in data for data in written)
    assert "secret-of-the-test" not in first.output
    run(photos, tmp_path / "local.csv", checkpoint)
    assert (tmp_path / "o.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()


def test_one_line(storage: Bucket, checkpoint: Path, tmp_path: Path) -> None:
    """A mistyped bucket, for images or for the model, is one line and exit code 2."""
    wrong = "s3://no-such-bucket-here/x"
    for src, model in ((wrong, str(checkpoint)), (str(tmp_path), wrong)):
        done = CliRunner().invoke(main, ["score", src, "-m", model, "-o", str(tmp_path / "o.csv")])
        assert done.exit_code == 2
        assert done.output.strip().endswith("Check the name and the endpoint.")
        assert done.output.count("\n") == 1


def test_damaged_files(storage: Bucket, checkpoint: Path, tmp_path: Path) -> None:
    """Of 200 mutants, every row is that of the local file, errors included."""
    for number, (kind, data) in enumerate(mutants(200, seed=0)):
        file = tmp_path / "set" / str(number % 7) / f"{number:03d}-{kind}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    (tmp_path / "set" / "0" / "empty.jpg").write_bytes(b"")
    (tmp_path / "set" / "0" / "page.png").write_bytes(b"<html>")
    url = storage.put_tree(tmp_path / "set", "set")
    run(tmp_path / "set", tmp_path / "local.csv", checkpoint)
    report = run(url, tmp_path / "remote.csv", checkpoint)
    assert (tmp_path / "remote.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()
    assert report.errors > 100


@pytest.mark.usefixtures("impatient")
def test_a_tar_that_is_replaced_after_it_was_listed(
    storage: Bucket, checkpoint: Path, tmp_path: Path
) -> None:
    """Its rows would be of another state than the listing: the run stops, whatever its size."""
    photos = make_images(tmp_path, NAMES[:4], bad=set())
    url, data = storage.url("set"), {}
    for which in ("a", "b"):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as tar:
            tar.add(photos / NAMES["ab".index(which)], "x.jpg")
        data[which] = file.getvalue()
    for number in range(4):
        storage.put(f"set/{number}.tar", data["a"])

    def after_listing(_rows: int, _of: int | None, _errors: int) -> None:
        storage.put("set/3.tar", data["b"])

    storage.layer.latency = 0.05
    with pytest.raises(StorageError, match=r"3\.tar: it has changed since it was listed"):
        run(url, tmp_path / "p.csv", checkpoint, progress=after_listing)
    assert not (tmp_path / "p.csv").exists()


def test_a_tar_whose_name_is_longer_than_that_of_a_file(
    storage: Bucket, checkpoint: Path, tmp_path: Path
) -> None:
    """A key may have 1,024 bytes; the rows have its name."""
    photos = make_images(tmp_path, NAMES[:2], bad=set())
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        tar.add(photos / NAMES[0], "x.jpg")
    names = [f"{'n' * length}.tar" for length in (251, 400)]
    for name in names:
        storage.put(f"set/a/{name}", file.getvalue())
    run(storage.url("set"), tmp_path / "p.csv", checkpoint)
    assert list(read(tmp_path / "p.csv")) == [f"a/{name}/x.jpg" for name in names]
