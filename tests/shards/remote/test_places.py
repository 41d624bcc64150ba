"""URLs as text."""

from __future__ import annotations

import pytest

from shards.remote import hub, places


@pytest.mark.parametrize(
    ("place", "remote"),
    [
        ("s3://b/k", True),
        ("S3://b/k", True),
        ("gcs://b/k", True),
        ("hf://datasets/o/n/f", True),
        ("https://h/p.tar?sig=1", True),
        ("/data/s3:/b", False),
        ("C:/x", False),
        ("ftp://h/p", False),
        ("photos", False),
    ],
)
def test_remote(place: str, *, remote: bool) -> None:
    """A known scheme and '://' make a URL; everything else is a path."""
    assert places.is_remote(place) is remote


def test_split() -> None:
    """Keys are as they are; repositories of the hub are one bucket."""
    assert places.split("s3://b/a/b?c#d%20e/") == ("s3", "b", "a/b?c#d%20e")
    assert places.split("hf://datasets/org/name@v1/a/b.tar") == (
        "hf",
        "datasets/org/name@v1",
        "a/b.tar",
    )
    assert hub.repository("hf://org/model/x") == (hub.Repository("model", "org/model", None), "x")
    with pytest.raises(ValueError, match="bucket"):
        places.split("s3:///key")
    with pytest.raises(ValueError, match="repository"):
        places.split("hf://datasets/org")


def test_join_and_parent() -> None:
    """A query stays behind the path; the parent of a key has none; a bucket is its own parent."""
    assert places.join("s3://b/a", "x y/z.jpg") == "s3://b/a/x y/z.jpg"
    assert places.join("s3://b", "z.jpg") == "s3://b/z.jpg"
    assert places.join("https://h/d?sig=1", "z.jpg") == "https://h/d/z.jpg?sig=1"
    assert places.join("s3://b/a", "gs://c/d.jpg") == "gs://c/d.jpg"
    assert places.parent("s3://b/a/x.tar") == "s3://b/a"
    assert places.parent("s3://b/x.tar") == places.parent("s3://b") == "s3://b"
    assert places.name("https://h/d/x.tar?sig=1") == "x.tar"
    assert places.name("s3://b") == ""


def test_redacted() -> None:
    """Users, passwords, signatures and fragments are not shown."""
    assert places.redacted("https://u:p@h/x.tar?X-Amz-Signature=1#f") == "https://h/x.tar?..."
    assert places.redacted("s3://AKIA:secret@b/k?y") == "s3://b/k?y"
    assert places.source_name("https://h/x.tar?sig=1") == "https://h/x.tar"
    assert places.redacted("/a/b?c") == "/a/b?c"
