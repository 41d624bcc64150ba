"""What is handed to a cluster has no credentials in it: each machine has its own."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from shards.remote import opening
from vocscore.local_folders import local_run
from vocscore.scoring.engines.cluster import ClusterJob, ClusterOpener, seen_files
from vocscore.scoring.engines.factory import EngineOpener
from vocscore.scoring.inputs.sources import read_source

if TYPE_CHECKING:
    from pathlib import Path

    from s3_server import Bucket

SECRET = "secret-of-the-test"  # as in s3_server.VARIABLES


def use_variables(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the fixture `storage` has set them."""
    del folder, monkeypatch
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == SECRET


def use_profile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a file that boto3 reads."""
    pytest.importorskip("boto3")
    file = folder / "credentials"
    file.write_text(f"[ours]\naws_access_key_id = test\naws_secret_access_key = {SECRET}\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "ours")


def sent(source: str, model: str) -> bytes:
    """All that a driver hands to a worker before its first answer."""
    inputs = read_source(source)
    engine = EngineOpener(
        checkpoint=local_run(model),
        identity="a" * 64,
        loader="host",
        device="cpu",
        precision="float32",
        batch_size=4,
        threads=1,
        max_pixels=1000,
    )
    opener = ClusterOpener(engine, 1, seen_files(inputs, 2), version("vocscore"))
    return pickle.dumps([ClusterJob(opener), *inputs.units(2)])


@pytest.mark.usefixtures("fetch_cache")
@pytest.mark.parametrize("use", [use_variables, use_profile])
def test_a_driver_sends_names(storage: Bucket, tmp_path: Path, monkeypatch, use) -> None:
    """Loose images, tars and a model by their URLs, after the storage was asked for them."""
    use(tmp_path, monkeypatch)
    opening.forget()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a.jpg"))
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        storage.put(f"loose/{name}", b"\xff\xd8\xff")
    storage.put("tars/0.tar", packed.getvalue())
    storage.put("run/model.json", b"{}")
    for source in ("loose", "tars", "tars/0.tar"):
        told = sent(storage.url(source), storage.url("run"))
        assert storage.name.encode() in told
        assert SECRET.encode() not in told


@pytest.mark.usefixtures("fetch_cache")
def test_the_signature_of_an_image_travels_with_its_unit_only(
    storage: Bucket, tmp_path: Path
) -> None:
    """Without it nobody can read the image; the job, which each worker keeps, has none."""
    storage.put("run/model.json", b"{}")
    source = tmp_path / "list.txt"
    source.write_text("".join(f"https://u:PW@h/{n}.jpg?X-Amz-Signature=SIGNED\n" for n in "abc"))
    job, first, second = pickle.loads(sent(str(source), storage.url("run")))
    assert not [word for word in (b"SIGNED", b"PW@") if word in pickle.dumps(job)]
    for unit in (first, second):
        for image in unit.read().images:
            assert "SIGNED" not in image.name
            assert "PW" not in image.name
            assert image.file.endswith("SIGNED")
