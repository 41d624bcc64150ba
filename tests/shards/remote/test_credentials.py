"""Credentials come from the usual places, and none are waited for."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import pytest

from shards.errors import StorageError
from shards.remote import credentials, opening, store

if TYPE_CHECKING:
    from pathlib import Path

    from s3_server import Bucket


@pytest.fixture
def nothing(storage: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    """No variables but the endpoint, an empty home, a machine of no cloud."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(credentials, "_DMI", tmp_path)
    return storage


def test_signed(storage: Bucket) -> None:
    """Requests are signed with the key of the variables."""
    store.read(storage.put("k"))
    assert "Credential=test/" in storage.layer.authorizations[-1]


@pytest.mark.parametrize("url", ["s3://b/k", "gs://b/k", "az://b/k"])
def test_none(nothing: Bucket, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Without credentials one line says which variables to set; nothing is asked."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setattr("socket.socket.connect", pytest.fail)
    with pytest.raises(StorageError, match=r"no credentials.*SKIP_SIGNATURE"):
        store.read(url)


def test_anonymous(nothing: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_SKIP_SIGNATURE=1 sends requests without a signature."""
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "1")
    url = nothing.put("k", b"1")
    with pytest.raises(StorageError, match="denied"):  # the server wants one
        store.read(url)
    assert nothing.layer.authorizations == [""]


def test_profile(nothing: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The profile named by AWS_PROFILE is read through boto3."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = one\naws_secret_access_key = x\n"
        "[other]\naws_access_key_id = two\naws_secret_access_key = y\n"
    )
    url = nothing.put("k", b"1")
    assert store.read(url) == b"1"
    monkeypatch.setenv("AWS_PROFILE", "other")
    opening.forget()
    assert store.read(url) == b"1"
    keys = [text.partition("Credential=")[2][:4] for text in nothing.layer.authorizations]
    assert keys == ["one/", "two/"]
    monkeypatch.setenv("AWS_PROFILE", "no-such")
    opening.forget()
    with pytest.raises(StorageError, match="no-such"):
        store.read(url)


def test_profile_without_boto3(
    nothing: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A profile that cannot be read is named, with the cure."""
    real = builtins.__import__

    def refusing(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "boto3":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setenv("AWS_PROFILE", "other")
    monkeypatch.setattr(builtins, "__import__", refusing)
    with pytest.raises(StorageError, match="pip install boto3"):
        store.read("s3://b/k")


def test_machine_of_the_cloud(nothing: Bucket, tmp_path: Path) -> None:
    """On a machine of the cloud its own credentials are used; the machine says so in a file."""
    (tmp_path / "sys_vendor").write_text("Amazon EC2\n")
    assert credentials.s3_options("s3://b") == {"endpoint": nothing.server.url}


@pytest.mark.parametrize(
    "endpoint", ["minio:9000", "http://", "https://user:SECRET@", "http://a b", "http://h:port"]
)
def test_an_endpoint_that_is_no_address(
    storage: Bucket, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    """One line that does not show it, and no end of the library's thread."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    opening.forget()
    with pytest.raises(StorageError, match="the endpoint is not an address") as error:
        store.read(storage.url("k"))
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("/no/such/program", "no such file"),
        ("/bin/false", "custom-process"),
        ("/bin/echo SECRET", "prints no credentials"),
    ],
)
def test_a_program_of_a_profile_that_fails(
    nothing: Bucket, tmp_path: Path, program: str, why: str
) -> None:
    """A line, and not a missing image, for which it would be taken as FileNotFoundError."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(f"[default]\ncredential_process = {program}\n")
    url = nothing.put("k", b"1")
    with pytest.raises(StorageError, match=f"profile cannot be used: .*{why}") as error:
        store.read(url)
    assert "SECRET" not in str(error.value)


def test_a_login_that_has_expired(nothing: Bucket, tmp_path: Path) -> None:
    """Credentials that cannot be renewed are no denied access."""
    (tmp_path / ".aws").mkdir()
    old = (
        '{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b", "SessionToken": "c", '
        '"Expiration": "2020-01-01T00:00:00Z"}'
    )
    (tmp_path / ".aws" / "config").write_text(
        f"[default]\ncredential_process = /bin/echo '{old}'\n"
    )
    with pytest.raises(StorageError, match="a login has expired"):
        store.read(nothing.url("k"))
