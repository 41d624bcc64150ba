"""What is shown of a web address whose query may hold a signature or a secret.

The parameters of a signature are left out, so that a list that is signed again has the same paths.
Of a parameter that may be a secret, a few digits of the hash of its value are kept: two addresses
that differ in it stay two paths.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from shards.remote.places import is_http, source_name

_SIGNATURE: Final = re.compile(
    r"x-(amz|goog|oss|ms|cos)-.*|signature|expires|policy|key-pair-id|awsaccesskeyid"
    r"|googleaccessid|ossaccesskeyid|q-(sign|ak|sign-algorithm|key|header|url)[a-z-]*",
    re.IGNORECASE,
)
"""Parameters of S3's, Google's, CloudFront's and others' signatures."""
_SAS: Final = re.compile(
    r"s[vserptd]|sr|sig|spr|sip|srt|ss|ske|sks|skt|skv|skoid|sktid|sdd|s[as]oid|suoid|scid"
)
"""Those of Azure, where there is a `sig`."""
_SECRET: Final = re.compile(
    r"sig|token|secret|pass|pwd|cred|auth|key|jwt|hmac|session", re.IGNORECASE
)
_LONGEST: Final = 32
"""Characters; a longer value may be a secret, whatever it is called."""


def is_signed(place: str) -> bool:
    """Whether a text is a web address with something that `public` leaves out."""
    return is_http(place) and place != public(place)


def public(url: str) -> str:
    """Return a web address without user, password, fragment and signature; others as they are."""
    if not is_http(url):
        return url
    query = url.partition("#")[0].partition("?")[2]
    pairs = [one.partition("=") for one in query.split("&")] if query else []
    azure = any(name == "sig" for name, _, _ in pairs)
    kept = [
        f"{name}{mark}{_shown(name, value)}"
        for name, mark, value in pairs
        if not (_SIGNATURE.fullmatch(name) or (azure and _SAS.fullmatch(name)))
    ]
    return source_name(url) + (f"?{'&'.join(kept)}" if kept else "")


def _shown(name: str, value: str) -> str:
    if len(value) <= _LONGEST and not (value and _SECRET.search(name)):
        return value
    return f"~{hashlib.sha256(value.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
