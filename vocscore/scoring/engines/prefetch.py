"""Runs a generator in a separate thread, a bounded number of items ahead of its consumer."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

    from typing_extensions import Self

Item = TypeVar("Item")


class Prefetcher(Generic[Item]):
    """Iterates over items in order, while a thread fetches the next ones. Must be closed.

    Args:
        items: runs in that thread, one item at a time, and is closed at the end; it must not yield
            None. An exception is raised after all items that were yielded before it.
        depth: number of items fetched in advance.
    """

    def __init__(self, items: Generator[Item], *, depth: int) -> None:
        """Start the thread."""
        self._items = items
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="vocscore-prefetch")
        self._fetched = deque(self._pool.submit(next, items, None) for _ in range(depth))

    def ready(self) -> bool:
        """Whether `next` returns or raises without waiting."""
        return not self._fetched or self._fetched[0].done()

    def has_item(self) -> bool:
        """Whether `next` returns an item without waiting."""
        if not self._fetched or not self._fetched[0].done():
            return False
        first = self._fetched[0]
        return first.exception() is None and first.result() is not None

    def __iter__(self) -> Self:
        """Return itself."""
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
        """Wait for the item being fetched, drop the others, and close the generator."""
        self._drop()
        self._pool.shutdown(wait=True)
        self._items.close()  # after the thread has ended: a running generator cannot be closed

    def _drop(self) -> None:
        for future in self._fetched:
            future.cancel()
        self._fetched.clear()
