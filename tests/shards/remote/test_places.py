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


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIA:SECRET@b/k",
        "s3://AKIA:x/SECRET+y@b/k@2x.jpg",
        "s3://AKIA:x/SECRET",
        "gs://SECRET@b/k",
        "https://user:SECRET@h/x",
        "https://user:x/SECRET@h/x",
        "https://h/x.tar?sig=SECRET",
        "https://h/x.tar#SECRET",
        "ftp://user:SECRET@h/x?SECRET",
    ],
)
def test_secrets_are_recognized(url: str) -> None:
    """Also a key of AWS that contains '/', and in a URL of another program."""
    assert places.has_secret(url)
    assert "SECRET" not in places.redacted(url) + places.source_name(url)
    if places.scheme(url) in ("s3", "gs"):
        with pytest.raises(ValueError, match="credentials"):
            places.split(url)


@pytest.mark.parametrize(
    "place",
    [
        "s3://b/k@2x.jpg?a#b",
        "https://h:8080/a@b.jpg",
        "https://[::1]:80/x",
        "hf://datasets/o/n@v1/x",
        "/a:b@c/x?y",
        "a:b@c://x",
    ],
)
def test_what_is_no_secret(place: str) -> None:
    """An '@' in a key, a port, a revision, a path."""
    assert not places.has_secret(place)


@pytest.mark.parametrize("bucket", ["my bucket", "b\u00fcck", "..", "b?x", "b%20x"])
def test_what_is_no_bucket(bucket: str) -> None:
    """Refused as text: such a name would end the library's thread."""
    with pytest.raises(ValueError, match="not the name of a bucket"):
        places.split(f"s3://{bucket}/k")


@pytest.mark.parametrize("key", ["/k", "a//k", "a/../k", "./k"])
def test_keys_are_not_changed(key: str) -> None:
    """'s3://b//k' is another key than 's3://b/k', so it is refused and not read in its place."""
    with pytest.raises(ValueError, match=r"empty, '\.' or '\.\.' part"):
        places.split(f"s3://b/{key}")
    assert places.split("s3://b/k/") == ("s3", "b", "k")


def test_below() -> None:
    """By whole parts of a key, whatever the scheme is called."""
    assert places.is_below("s3://b/set/bad", "s3a://b/set/")
    assert places.is_below("s3://b/set", "s3://b/set")
    assert places.is_below("s3://b/x", "s3://b")
    assert not places.is_below("s3://b/settle", "s3://b/set")
    assert not places.is_below("s3://c/set/bad", "s3://b/set")
    assert not places.is_below("gs://b/set/bad", "s3://b/set")
