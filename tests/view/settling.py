"""Waiting for what a page comes to show.

A page is filled by messages that arrive one after the other: what is asserted of it is waited for,
and never read once after something else was waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

__all__ = ["eventually", "expect", "wait_until_equal"]
T = TypeVar("T")

expect.set_options(timeout=10_000)


def eventually(page: Page, holds: Callable[[], bool]) -> bool:
    """Wait until something holds, for about ten seconds, and return whether it ever did."""
    for _ in range(200):
        if holds():
            return True
        page.wait_for_timeout(50)
    return False


def wait_until_equal(page: Page, read: Callable[[], T], want: T) -> None:
    """Wait until what is read is as wanted, and fail with what was read last."""
    found = read()
    for _ in range(200):
        if found == want:
            break
        page.wait_for_timeout(50)
        found = read()
    assert found == want
