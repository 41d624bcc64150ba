"""What rows show of web addresses with signatures and secrets."""

from __future__ import annotations

import pytest

from shards.remote.signed import is_signed, public

AMZ = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=SECRET%2F20260101&X-Amz-Date=20260101T000000Z"
    "&X-Amz-Expires=60&X-Amz-Security-Token=SECRET&X-Amz-Signature=SECRET"
)
AZURE = "sv=2024-01-01&st=a&se=b&sr=b&sp=r&sig=SECRET%3D"
CLOUDFRONT = "Expires=1&Signature=SECRET&Key-Pair-Id=SECRET"


@pytest.mark.parametrize("query", [AMZ, AZURE, CLOUDFRONT])
def test_a_signature_is_left_out(query: str) -> None:
    """Signed again, an address is the same path; other parameters stay."""
    assert public(f"https://h/a%20b.jpg?{query}") == "https://h/a%20b.jpg"
    assert public(f"https://u:SECRET@h/x?id=17&{query}#f") == "https://h/x?id=17"
    assert is_signed(f"https://h/x?{query}")


@pytest.mark.parametrize("name", ["token", "api_key", "password", "auth", "sig"])
def test_a_secret_is_a_few_digits_of_its_hash(name: str) -> None:
    """So two addresses that differ in it alone are two paths."""
    one, two = (public(f"https://h/x?{name}={value}") for value in ("SECRET", "OTHER"))
    assert "SECRET" not in one
    assert name == "sig" or one != two
    assert len(public(f"https://h/x?unknown={'SECRET' * 9}")) < 40


@pytest.mark.parametrize(
    "place",
    [
        "https://h/x?id=17&w=300",
        "https://h/x",
        "s3://b/k?token=1",
        "a/b?token=1",
        "https://h/x?a&b=",
    ],
)
def test_others_stay(place: str) -> None:
    """Short parameters, keys of storage, and paths."""
    assert public(place) == place
    assert not is_signed(place)
