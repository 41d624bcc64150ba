"""URLs in Python: read where they can be, otherwise one `vs.Error` without secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import vocscore as vs

if TYPE_CHECKING:
    from pathlib import Path

    from s3_server import Bucket


@pytest.mark.usefixtures("fetch_cache")
def test_packed_shards(storage: Bucket, packed: Path) -> None:
    """A split of shards on object storage has the images and labels of a local one."""
    url = storage.put_tree(packed, "shards")
    words = {"split": "val", "size": 32, "batch_size": 8}
    local, remote = list(vs.loader(packed, **words)), list(vs.loader(url, **words))
    assert [list(one.rows) for one in remote] == [list(one.rows) for one in local]
    for one, other in zip(local, remote, strict=True):
        assert np.array_equal(one.labels, other.labels)
        assert np.array_equal(one.images, other.images)
    samples = [sample["__key__"] for sample in vs.webdataset(url, split="val")]
    assert samples == [sample["__key__"] for sample in vs.webdataset(packed, split="val")]


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("s3://", "it names no bucket"),
        ("s3://my bucket/x", "not the name of a bucket"),
        ("hf://x", "it names no repository"),
        ("s3://AKIA:x/SECRET@b/x", "a URL with credentials"),
        ("https://u:SECRET@h/x?SECRET", "a URL with credentials"),
    ],
)
def test_what_is_no_place(url: str, line: str, run_folder: Path, tmp_path: Path) -> None:
    """The same line for a source, a model, shards and a set to pack; nothing is asked."""
    pytest.importorskip("obstore")
    out = tmp_path / "out.csv"
    for call in (
        lambda: vs.score(url, out, model=run_folder),
        lambda: vs.load(url),
        lambda: vs.train(url, out),
        lambda: vs.pack(url, out),
        lambda: vs.loader(url, size=32),
    ):
        with pytest.raises(vs.Error, match=line) as error:
            call()
        assert "SECRET" not in str(error.value)
    assert not out.exists()


def test_what_is_not_written(run_folder: Path, photos: Path, monkeypatch, tmp_path: Path) -> None:
    """A URL is never the name of a local folder."""
    monkeypatch.chdir(tmp_path)
    for call in (
        lambda: vs.pack(photos, "s3://b/shards"),
        lambda: vs.score(photos, "https://u:SECRET@h/p.csv?SECRET", model=run_folder),
        lambda: vs.demo("s3://b/demo"),
    ):
        with pytest.raises(vs.Error, match="a URL, but only files are written") as error:
            call()
        assert "SECRET" not in str(error.value)
    with pytest.raises(vs.Error, match="object storage is not read directly"):
        vs.info("hdfs://b/p.csv")
    assert not list(tmp_path.iterdir())


def test_what_predict_does_not_read(model: vs.Model) -> None:
    """Its result says who does."""
    (found,) = model.predict(["s3://b/x.jpg"])
    assert "vocscore.score and vocscore.loader read it" in str(found.error.detail)
