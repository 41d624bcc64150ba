"""Fetches from an iterator in a thread, a little ahead of whoever uses what comes."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

Item = TypeVar("Item")


def ahead(items: Generator[Item], *, depth: int) -> Generator[Item]:
    """Yield the items in their order, while a thread fetches the next ones.

    Args:
        items: run in that thread, one item after the other, and closed at the end; it must not
            yield None.
        depth: items fetched before they are asked for.

    Raises:
        BaseException: what `items` raises, at its place.
    """
    # closed after the thread has ended: a generator that runs cannot be
    with closing(items), ThreadPoolExecutor(1, thread_name_prefix="vocscore-ahead") as pool:
        fetched = deque(pool.submit(next, items, None) for _ in range(depth))
        try:
            while (item := fetched.popleft().result()) is not None:
                fetched.append(pool.submit(next, items, None))
                yield item
        finally:
            for future in fetched:
                future.cancel()
