"""Fetches from an iterator in a thread, a little ahead of whoever uses what comes."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

    from typing_extensions import Self

Item = TypeVar("Item")


class Ahead(Generic[Item]):
    """The items in their order, while a thread fetches the next ones. Close it.

    Args:
        items: run in that thread, one item after the other, and closed at the end; it must not
            yield None. What it raises comes at its place.
        depth: items fetched before they are asked for.
    """

    def __init__(self, items: Generator[Item], *, depth: int) -> None:
        """Start to fetch."""
        self._items = items
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="vocscore-ahead")
        self._fetched = deque(self._pool.submit(next, items, None) for _ in range(depth))

    def ready(self) -> bool:
        """Whether the next item, or the end, is there without waiting."""
        return not self._fetched or self._fetched[0].done()

    def __iter__(self) -> Self:
        """Hand out the iterator itself."""
        return self

    def __next__(self) -> Item:
        """Wait for the next item."""
        if not self._fetched:
            raise StopIteration
        item = self._fetched.popleft().result()
        if item is None:
            self._drop()
            raise StopIteration
        self._fetched.append(self._pool.submit(next, self._items, None))
        return item

    def close(self) -> None:
        """Wait for the item that is being fetched, drop the others, close the iterator."""
        self._drop()
        self._pool.shutdown(wait=True)
        self._items.close()  # after the thread has ended: a generator that runs cannot be

    def _drop(self) -> None:
        for future in self._fetched:
            future.cancel()
        self._fetched.clear()
