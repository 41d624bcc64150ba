"""Hands numbered items to workers, and decides what a death means.

Each worker has two items, the current one and the next one, so that it does not pause between
them. Items finish in any order, and each is reported once, whatever happens:

- Nothing is handed to a worker before it has reported that it is ready.
- The items of a worker that died go to others. Each of them has then lost a life, since one of them
  may have killed it, and is worked on alone from then on. If the whole machine was lost, nobody
  is to blame.
- When no item is left and workers are idle, they also get what others have not finished. The first
  result of an item counts; later ones are dropped by its number.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vocscore.errors import ScoreError
from vocscore.workers.kind import differences
from vocscore.workers.messages import Done, Gone, Partial, Raised, Ready

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from vocscore.workers.messages import Item, Message
    from vocscore.workers.transport import Link, Transport

_ITEMS_IN_HAND = 2
_LIVES = 3
"""The run fails after this many workers died on the same item, or after one worker died this many
times without finishing an item in between."""
_SECONDS_TO_END = 5.0
_SECONDS_BETWEEN_LOOKS = 2.0


@dataclass(frozen=True, slots=True)
class Policy:
    """What differs between places where workers run.

    Attributes:
        wait_for: workers that have to be ready before work begins; None: all.
        twice: whether idle workers get items that others have not finished, at the end of a run.
        mixed: whether workers of different kinds may work together.
        what: an item, for messages.
        name: more about the item of a number; '' if there is nothing to say.
        verbs: what workers do with it, and what they have done.
    """

    wait_for: int | None = None
    twice: bool = False
    mixed: bool = False
    what: str = "unit"
    name: Callable[[int], str] = lambda _number: ""
    verbs: tuple[str, str] = ("scoring", "scored")


@dataclass(eq=False, slots=True)
class Worker:
    """A worker as the dispatcher sees it.

    Attributes:
        link: leads to it.
        items: items it was handed and has not finished, by number, in order.
        ready: whether it may be handed items.
        deaths: how often it died since it last finished an item.
    """

    link: Link
    items: dict[int, Item] = field(default_factory=dict)
    ready: bool = False
    deaths: int = 0


class Dispatcher:
    """Works on items with the workers of a transport. Close it, also after an error.

    Args:
        transport: its workers are started here.
        policy: of the place.
        notice: called with one line about a worker that is not used.
        waiting: called with the number of workers while none of them is ready.

    Attributes:
        about: see `Ready`; of the first worker.
        kind: see `Ready`; of the first worker.
        workers: those in use.

    Raises:
        ScoreError: a worker died repeatedly while it loaded.
        Exception: what a worker raised while it loaded.
    """

    def __init__(
        self,
        transport: Transport,
        policy: Policy | None = None,
        *,
        notice: Callable[[str], None] | None = None,
        waiting: Callable[[int], None] | None = None,
    ) -> None:
        """Start the workers, and wait until enough of them have loaded."""
        self._transport = transport
        self._policy = policy or Policy()
        self._notice = notice or (lambda _line: None)
        self._waiting = waiting or (lambda _all: None)
        self._running: dict[int, list[Worker]] = {}  # the items that are handed out: who has them
        self._returned: deque[Item] = deque()
        self._deaths: Counter[int] = Counter()  # by the number of the item
        self._lost: dict[int, str] = {}  # item -> the machine that was lost while it had it
        self.about = ""
        self.kind: Mapping[str, str] = {}
        self.workers = [Worker(link) for link in transport.links]
        try:
            for worker in self.workers:
                worker.link.start()
            self._load()
        except BaseException:
            self.close()
            raise

    def run(self, items: Iterator[Any]) -> Generator[tuple[Partial | Done, tuple[str, ...]]]:
        """Work on every item once, in any order; close the generator to stop early.

        Yields:
            Each message, with warnings about the item if it is finished, one line each.

        Raises:
            ScoreError: workers died too often.
            Exception: what a worker raised.
        """
        for hand in range(_ITEMS_IN_HAND):  # so that few items are spread over all workers
            for worker in self.workers:
                self._fill(worker, items, hand=hand + 1)
        while self._returned or self._running:
            for worker, message in self._messages():
                if isinstance(message, Partial):
                    # of two workers with the same item, only one is shown
                    if self._running.get(message.number, [None])[0] is worker:
                        yield message, ()
                    continue
                if isinstance(message, Done):
                    if self._is_first(worker, message.number):
                        yield message, self._problems(message.number)
                else:
                    self._change(worker, message)
                self._fill(worker, items)
                self._fill_idle(items)

    def close(self) -> None:
        """End the workers, also in the middle of an item."""
        self._transport.close()

    def _load(self) -> None:
        """Wait until enough workers are ready."""
        wanted = self._policy.wait_for
        while sum(worker.ready for worker in self.workers) < (
            len(self.workers) if wanted is None else min(wanted, len(self.workers))
        ):
            for worker, message in self._messages():
                self._change(worker, message)

    def _messages(self) -> list[tuple[Worker, Message]]:
        """Wait for messages, one from each worker that has some."""
        by_link = {id(worker.link): worker for worker in self.workers}
        while not (speaking := self._transport.wait(_SECONDS_BETWEEN_LOOKS)):
            if not any(worker.ready for worker in self.workers):
                self._waiting(len(self.workers))
        return [(by_link[id(link)], link.receive()) for link in speaking]

    def _change(self, worker: Worker, message: Message) -> None:
        """Note that a worker has become ready or died, or raise its error."""
        if isinstance(message, Raised):
            message.raise_again()
        if isinstance(message, Gone):
            self._bury(worker, message)
        elif isinstance(message, Ready):
            self._admit(worker, message)

    def _admit(self, worker: Worker, ready: Ready) -> None:
        """Use a worker that has loaded, unless it is of another kind than the first."""
        self.about = self.about or ready.about
        self.kind = self.kind or ready.kind
        other = differences(self.kind, ready.kind)
        if other and not self._policy.mixed:
            self._notice(
                f"{worker.link.name}: not used, because it is of another kind than the first "
                f"worker: {other}. Results would differ in the last bits; `mixed_machines=True` "
                "allows that."
            )
            self.workers.remove(worker)
            worker.link.end(_SECONDS_TO_END)
            return
        worker.ready = True

    def _fill(self, worker: Worker, items: Iterator[Any], *, hand: int = _ITEMS_IN_HAND) -> None:
        """Fill up a worker's items; an item on which a worker died is worked on alone."""
        while worker.ready and len(worker.items) < hand:
            if any(number in self._deaths for number in worker.items):
                return
            item = self._next(worker, items)
            if item is None:
                return
            worker.items[item.number] = item
            self._running.setdefault(item.number, []).append(worker)
            worker.link.hand(item)

    def _fill_idle(self, items: Iterator[Any]) -> None:
        """Give workers without any item what was returned, or what others have not finished."""
        for worker in self.workers:
            if not worker.items:
                self._fill(worker, items)

    def _next(self, worker: Worker, items: Iterator[Any]) -> Item | None:
        """The next item for a worker: a returned one, a fresh one, or another worker's."""
        if self._returned and not worker.items:
            return self._returned.popleft()
        fresh: Item | None = next(items, None)
        if fresh is not None or worker.items or not self._policy.twice:
            return fresh
        return self._unfinished_elsewhere()

    def _unfinished_elsewhere(self) -> Item | None:
        """An item that one worker has and another one could finish earlier.

        First those that have not been begun, since they have to wait for the one before; then
        those that have been running for the longest time.
        """
        alone = [
            (holders[0], number)
            for number, holders in self._running.items()
            if len(holders) == 1 and number not in self._deaths
        ]
        alone.sort(key=lambda one: next(iter(one[0].items)) == one[1])  # stable: the oldest first
        for worker, number in alone[:1]:
            return worker.items[number]
        return None

    def _is_first(self, worker: Worker, number: int) -> bool:
        """Take an item off a worker's hands; False if another one has finished it before."""
        worker.items.pop(number, None)
        worker.deaths = 0
        return self._running.pop(number, None) is not None

    def _problems(self, number: int) -> tuple[str, ...]:
        """Warnings about a finished item."""
        what, (doing, did) = self._named(number), self._policy.verbs
        lost, deaths = self._lost.get(number), self._deaths[number]
        found = []
        if lost:
            found.append(f"{what}: {lost} was lost while {doing} it; another worker {did} it.")
        if deaths:
            found.append(
                f"{what}: a worker died while {doing} it ({deaths} times); another worker {did} it."
            )
        return tuple(found)

    def _bury(self, worker: Worker, gone: Gone) -> None:
        """Take a dead worker's items back and start it again.

        Raises:
            ScoreError: it died too often.
        """
        how = worker.link.end(_SECONDS_TO_END)
        left = {n: item for n, item in worker.items.items() if n in self._running}
        for number, item in left.items():
            self._running[number].remove(worker)
            if not self._running[number]:
                del self._running[number]
                self._returned.append(item)
        worker.items, worker.ready = {}, False
        if gone.node:
            self._lost.update(dict.fromkeys(left, gone.node))
        else:
            worker.deaths += 1
            self._deaths.update(left.keys())
            self._refuse_more_deaths(worker, left, how)
        worker.link.start()

    def _refuse_more_deaths(self, worker: Worker, left: Mapping[int, Item], how: str) -> None:
        for number in left:
            if self._deaths[number] >= _LIVES:
                died = f"{_LIVES} workers died while {self._policy.verbs[0]} it"
                raise self._given_up(f"{self._named(number)}: {died}", how)
        if worker.deaths >= _LIVES:
            raise self._given_up(f"{worker.link.name}: its worker died {_LIVES} times", how)

    def _named(self, number: int) -> str:
        what, name = f"{self._policy.what} {number}", self._policy.name(number)
        return f"{what} ({name})" if name else what

    def _given_up(self, what: str, how: str) -> ScoreError:
        return ScoreError(
            f"{what} (the last one by {how}; SIGKILL usually means that main memory ran out). "
            f"Finished {self._policy.what}s are kept. Rerun with {self._transport.advice}."
        )
