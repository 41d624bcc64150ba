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
    r"(?:status|HTTP error|error)[^0-9<]{0,40}\b([45]\d\d)\b", re.IGNORECASE
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
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_NO_BUCKET: Final = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
_ACCESS: Final = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=1 where it is public",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or GOOGLE_SKIP_SIGNATURE=1 where it is public",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or AZURE_SKIP_SIGNATURE=1",
    "hf": "HF_TOKEN, or 'hf auth login'",
}


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
    except OSError as error:  # of a credential provider
        kind = type(error).__name__
        raise StorageError(f"{redacted(url)}: cannot be opened ({kind}).") from None


def no_bucket(url: str) -> StorageError:
    """Return the error of a bucket that is not there."""
    return StorageError(
        f"{redacted(url)}: there is no such bucket. Check the name and the endpoint."
    )


def _storage_error(url: str, error: Exception) -> StorageError:
    text, _, source = _REQUEST.sub("", str(error)).partition("Debug source")
    if any(sign in text for sign in _NO_BUCKET):
        return no_bucket(url)
    found, code = _STATUS.search(text), _CODE.search(text)
    status = int(found[1]) if found else 0
    answer = " ".join([*([str(status)] if status else []), *([f"({code[1]})"] if code else [])])
    why = _by_class(url, error, answer) or _permanent(text, status, answer)
    if why:
        return StorageError(f"{redacted(url)}: {why}", status=status)
    passing = f"the storage answers {answer}" if status else _unreachable(source or text)
    return StorageError(
        f"{redacted(url)}: {passing}, even after retries. Rerun the same command later.",
        passing=True,
        status=status,
    )


def _by_class(url: str, error: Exception, answer: str) -> str:
    from obstore import exceptions

    if isinstance(error, (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)):
        how = _ACCESS.get(scheme(url) or "", "an address that needs no permission")
        by = f" by {answer}" if answer else ""
        return f"access is denied{by}. Credentials come from the usual variables: {how}."
    if isinstance(error, exceptions.InvalidPathError):
        return f"{ODD}."
    if isinstance(error, exceptions.NotSupportedError):
        return "the server does not support what is needed (ranges of bytes)."
    return ""


def _permanent(text: str, status: int, answer: str) -> str:
    if "redirect" in text and "region" in text:
        return "the bucket is in another region. Set AWS_REGION."
    if "builder error" in text:
        return "the endpoint is not an address."
    if status == 416:
        return "shorter than the range that is read (416); did it change after it was listed?"
    return f"the storage answers {answer}." if status and status not in _PASSING else ""


def _unreachable(source: str) -> str:
    """What happened to a request that no server has answered.

    Args:
        source: the library's own description, without the address.
    """
    return next(
        (line for sign, line in _CAUSES.items() if sign in source),
        "cannot be reached, or the connection breaks",
    )
