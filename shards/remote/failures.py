"""What the errors of storage mean: a missing key, or a storage that does not give its objects.

A missing key is a `FileNotFoundError`, which may become a row. Everything else is a `StorageError`,
which never does: a bad hour of a network must not be written down as bad images.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from shards.errors import StorageError
from shards.remote.places import ODD, redacted, scheme

if TYPE_CHECKING:
    from collections.abc import Iterator

_STATUS: Final = re.compile(
    r"(?:status|HTTP error|error)[^0-9<]{0,40}\b([345]\d\d)\b", re.IGNORECASE
)
_REQUEST: Final = re.compile(r"Error performing \S+ \S+ in \S+|https?://\S+")
"""Address and duration of a request: their digits and words are none of an answer."""
_CAUSES: Final = {
    "dns error": "cannot be reached: its host is not known",
    "InvalidCertificate": "cannot be reached: its certificate is not accepted",
    "InvalidContentType": "cannot be reached: no TLS; is it http:// instead of https://?",
    "ConnectionRefused": "cannot be reached: connection refused",
    "TimedOut": "no answer in time",
    "kind: Timeout": "no answer in time",
    "Connection reset": "the connection breaks",
    "ConnectionReset": "the connection breaks",
}
"""What the library's description of an error contains -> what has happened."""
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed later."""
_REGION: Final = "the bucket is in another region. Set AWS_REGION."
_EXPIRED: Final = (
    "the credentials have expired. Renew them, then rerun the same command; a resume needs the new "
    "ones only."
)
_BY_CODE: Final = {
    "RequestTimeTooSkewed": "the storage refuses the time of this machine. Set its clock.",
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
    "TemporaryRedirect": _REGION,
}
"""Code of S3 -> what is wrong, where the status does not tell."""
_BY_TEXT: Final = {
    "builder error": "the endpoint is not an address.",
    "Failed to read token file": "the file named by AWS_WEB_IDENTITY_TOKEN_FILE cannot be read.",
    "invalid utf-8": "the server answers with an error, by a page that is not UTF-8.",
    "error following redirect": "its redirects are not followed (to http://, or without end).",
}
"""Words of the library -> what is wrong, for good."""
_NO_BUCKET: Final = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
_ACCESS: Final = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=1 where it is public",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or GOOGLE_SKIP_SIGNATURE=1 where it is public",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or AZURE_SKIP_SIGNATURE=1",
    "hf": "HF_TOKEN, or 'hf auth login'",
}


class UnsizedError(StorageError):
    """A web server does not say how long a file is."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"{redacted(url)}: the server says neither how long it is (no Content-Length) nor "
            "where it ends (not chunked). Download it, and name the file."
        )


@contextmanager
def explained(url: str, *, but: type[Exception] = StorageError) -> Iterator[None]:
    """Turn the errors of obstore inside the block into one line each, without secrets.

    The library's own text is not shown: it contains whole URLs, which may be signed.

    Args:
        url: what is asked for.
        but: an error that stays as it is.

    Raises:
        FileNotFoundError: there is no such key.
        StorageError: anything else.
    """
    from obstore import exceptions

    try:
        yield
    except (StorageError, but):
        raise
    except FileNotFoundError as error:
        text = str(error)
        if any(sign in text for sign in _NO_BUCKET):
            raise no_bucket(url) from None
        raise FileNotFoundError(2, "No such key", redacted(url)) from None
    except exceptions.BaseError as error:
        raise _storage_error(url, error) from None
    except ValueError as error:
        kind = type(error).__name__
        odd = "Could not parse path" in str(error)
        raise StorageError(
            f"{redacted(url)}: {ODD if odd else f'cannot be opened ({kind})'}."
        ) from None
    except OSError as error:  # of an upload
        raise _storage_error(url, error) from None


@contextmanager
def written(url: str) -> Iterator[None]:
    """Do the same where something is written: what is missing is the bucket, or a begun upload.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        with explained(url):
            yield
    except FileNotFoundError:
        raise StorageError(
            f"{redacted(url)}: there is no such bucket, or the storage has ended the upload.",
            passing=True,
        ) from None


def no_bucket(url: str) -> StorageError:
    """Return the error of a bucket that is not there."""
    return StorageError(
        f"{redacted(url)}: there is no such bucket. Check the name and the endpoint."
    )


def _storage_error(url: str, error: Exception) -> StorageError:
    from obstore import exceptions

    text, _, source = _REQUEST.sub("", str(error)).partition("Debug source")
    if any(sign in text for sign in _NO_BUCKET):
        return no_bucket(url)
    if "Content-Length Header missing" in text:
        return UnsizedError(url)
    found, code = _STATUS.search(text), _CODE.search(text)
    status = int(found[1]) if found else 0
    answer = " ".join([*([str(status)] if status else []), *([f"({code[1]})"] if code else [])])
    by_code = _BY_CODE.get(code[1], "") if code else ""
    why = by_code or _by_class(url, error, answer) or _permanent(url, text, status, answer)
    if why:
        return StorageError(f"{redacted(url)}: {why}", status=status)
    if not status and not isinstance(error, exceptions.BaseError) and "error" not in text:
        return StorageError(f"{redacted(url)}: cannot be opened ({type(error).__name__}).")
    passing = f"the storage answers {answer}" if status else _unreachable(source or text)
    return StorageError(
        f"{redacted(url)}: {passing}, even after retries. Rerun the same command later.",
        passing=True,
        status=status,
    )


def _by_class(url: str, error: Exception, answer: str) -> str:
    from obstore import exceptions

    if isinstance(error, exceptions.UnauthenticatedError) and not answer:
        return (
            "the credentials cannot be loaded: a login has expired, or its program fails. Log in "
            f"again, or set {_access(url)}."
        )
    if isinstance(error, (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)):
        return _denied(url, answer)
    if isinstance(error, exceptions.InvalidPathError):
        return f"{ODD}."
    if isinstance(error, exceptions.NotSupportedError):
        return "the server does not support what is needed (ranges of bytes)."
    return ""


def _denied(url: str, answer: str) -> str:
    by = f" by {answer}" if answer else ""
    return f"access is denied{by}. Credentials come from the usual variables: {_access(url)}."


def _access(url: str) -> str:
    return _ACCESS.get(scheme(url) or "", "an address that needs no permission")


def _permanent(url: str, text: str, status: int, answer: str) -> str:
    if "redirect" in text and "region" in text:
        return _REGION
    for sign, line in _BY_TEXT.items():
        if sign in text:
            return line
    if status in (401, 403):  # of a listing or an upload, whose class does not say it
        return _denied(url, answer)
    if status == 416:
        return "shorter than the range that is read (416); did it change after it was listed?"
    return f"the storage answers {answer}." if status and status not in PASSING else ""


def _unreachable(source: str) -> str:
    """What happened to a request that no server has answered.

    Args:
        source: the library's own description, without the address.
    """
    return next(
        (line for sign, line in _CAUSES.items() if sign in source),
        "cannot be reached, or the connection breaks",
    )
