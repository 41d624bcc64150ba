"""Finds endpoint, region and credentials of storage in the usual variables and files.

Without credentials obstore would ask the metadata address of a cloud's machine and wait; it may do
so only on such a machine.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from shards.errors import StorageError

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_CONTAINER: Final = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
"""Without a file for its token, obstore ignores it; boto3 does not."""
_PAIRS: Final = (
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",),
    (_CONTAINER, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
)
"""Variables that are enough together, in the order in which they count."""
_DMI: Final = Path("/sys/class/dmi/id")
_MACHINES: Final = {
    "s3": ("sys_vendor", "Amazon EC2"),
    "gs": ("product_name", "Google"),
    "az": ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77"),
}
"""Cloud -> what its machines say of themselves; read without a connection."""


def is_on(*variables: str) -> bool:
    """Whether one of some variables is set to something that means yes."""
    return any(os.environ.get(one, "").strip().lower() in _TRUE for one in variables)


def _is_set(*variables: str) -> bool:
    return any(os.environ.get(one, "").strip() for one in variables)


def _first(*variables: str) -> str:
    return next((value for one in variables if (value := os.environ.get(one, "").strip())), "")


def _on_machine_of(cloud: str) -> bool:
    file, start = _MACHINES[cloud]
    try:
        return (_DMI / file).read_text(encoding="utf-8").strip().startswith(start)
    except (OSError, ValueError):
        return False


def s3_options(where: str) -> dict[str, Any]:
    """Return the arguments of obstore's `S3Store`, beside the bucket.

    Args:
        where: the URL for messages.

    Raises:
        StorageError: there are no credentials, or they are in a profile and boto3 is missing.
    """
    options: dict[str, Any] = {}
    endpoint = _first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    if endpoint:
        options["endpoint"] = _address(endpoint, where)
    region = _first("AWS_REGION", "AWS_DEFAULT_REGION")
    if region:
        options["region"] = region
    if is_on("AWS_SKIP_SIGNATURE", "AWS_NO_SIGN_REQUEST"):
        return {**options, "skip_signature": True}
    if any(all(_is_set(one) for one in pair) for pair in _PAIRS):
        return options
    if _is_set(_CONTAINER) or _has_profile():
        return {**_from_profile(where, has_region=bool(region)), **options}
    disabled = is_on("AWS_EC2_METADATA_DISABLED")
    if not disabled and (_is_set("AWS_METADATA_ENDPOINT") or _on_machine_of("s3")):
        return options
    raise _none(where, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", "AWS_SKIP_SIGNATURE=1")


def _profile_files() -> list[Path]:
    files = []
    for variable, usual in (
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        ("AWS_CONFIG_FILE", "config"),
    ):
        named = os.environ.get(variable, "")
        home = os.environ.get("HOME", "")
        files.append(Path(named) if named else Path(home, ".aws", usual))
    return files


def _has_profile() -> bool:
    return _is_set("AWS_PROFILE") or any(file.is_file() for file in _profile_files())


def _from_profile(where: str, *, has_region: bool) -> dict[str, Any]:
    """Read a profile through boto3, which knows all forms of it (roles, SSO, processes)."""
    try:
        import boto3
        import botocore.session
        from botocore.exceptions import BotoCoreError
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        raise StorageError(
            f"{where}: the credentials are in an AWS profile; set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or to read the profile: pip install boto3"
        ) from None
    try:
        core = botocore.session.Session()
        resolver = core.get_component("credential_provider")
        resolver.remove("iam-role")  # it asks the metadata address
        if core.get_credentials() is None:
            raise _none(
                where, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", "AWS_SKIP_SIGNATURE=1"
            )
        session = boto3.Session(botocore_session=core)
        options: dict[str, Any] = {"credential_provider": Boto3CredentialProvider(session)}
        if session.region_name and not has_region:
            options["region"] = session.region_name
        named = core.get_scoped_config().get("endpoint_url")
    except BotoCoreError as error:
        line = str(error).rstrip(". :")
        raise StorageError(f"{where}: the AWS profile cannot be used: {line}.") from None
    except (OSError, ValueError) as error:  # of the program that it names
        line = str(getattr(error, "strerror", None) or "its program prints no credentials").lower()
        raise StorageError(f"{where}: the AWS profile cannot be used: {line}.") from None
    return {**options, "endpoint": _address(str(named), where)} if named else options


def _address(endpoint: str, where: str) -> str:
    """Return an endpoint, if it is a web address; it is not shown, as it may have a password."""
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not endpoint.isascii() or " " in endpoint:
        raise StorageError(
            f"{where}: the endpoint is not an address. Write AWS_ENDPOINT_URL=https://HOST, or "
            "http://HOST:PORT."
        )
    return endpoint


def gs_options(where: str) -> dict[str, Any]:
    """Return the arguments of obstore's `GCSStore`, beside the bucket.

    Raises:
        StorageError: there are no credentials.
    """
    if is_on("GOOGLE_SKIP_SIGNATURE", "GS_NO_SIGN_REQUEST"):
        return {"skip_signature": True}
    named = _is_set(
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_SERVICE_ACCOUNT",
        "GOOGLE_SERVICE_ACCOUNT_PATH",
        "GOOGLE_SERVICE_ACCOUNT_KEY",
    )
    login = Path(os.environ.get("HOME", ""), ".config/gcloud/application_default_credentials.json")
    if named or login.is_file() or _on_machine_of("gs"):
        return {}
    raise _none(where, "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SKIP_SIGNATURE=1")


def az_options(where: str) -> dict[str, Any]:
    """Return the arguments of obstore's `AzureStore`, beside the container.

    Raises:
        StorageError: there is no account, or there are no credentials.
    """
    if not _is_set("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"):
        raise StorageError(f"{where}: the account is unknown. Set AZURE_STORAGE_ACCOUNT_NAME.")
    account = _first("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT")
    options: dict[str, Any] = {"account_name": account}
    if is_on("AZURE_SKIP_SIGNATURE", "AZURE_NO_SIGN_REQUEST"):
        return {**options, "skip_signature": True}
    key = _first("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_KEY")
    if key:
        return {**options, "account_key": key}
    token = _first("AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY")
    if token:
        return {**options, "sas_key": token}
    principal = _is_set("AZURE_CLIENT_ID", "AZURE_STORAGE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE")
    if principal or is_on("AZURE_USE_AZURE_CLI", "AZURE_STORAGE_USE_EMULATOR"):
        return options
    if _is_set("AZURE_STORAGE_TOKEN") or _on_machine_of("az"):
        return options
    raise _none(
        where, "AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN", "AZURE_SKIP_SIGNATURE=1"
    )


def _none(where: str, variables: str, anonymous: str) -> StorageError:
    return StorageError(
        f"{where}: there are no credentials. Set {variables}, or {anonymous} for public data."
    )
