"""Who gets which item, and what a death means: with workers in simulated time."""

from __future__ import annotations

import random

import pytest
from fake_transport import FakeTransport, Piece

from vocscore.errors import ScoreError
from vocscore.workers.dispatch import Dispatcher, Policy
from vocscore.workers.messages import Done

ANY = Policy(wait_for=1, twice=True)
"""As on a cluster."""
TOGETHER = Policy(twice=True)
"""The same, but begun by all workers at once."""


def run(transport, pieces, policy=ANY, **arguments):
    """The results by number, and the warnings; each number may come once only."""
    dispatcher = Dispatcher(transport, policy, **arguments)
    results, warnings = {}, []
    for message, problems in dispatcher.run(iter(pieces)):
        if isinstance(message, Done):
            assert message.number not in results
            results[message.number] = message.value
            warnings += problems
    dispatcher.close()
    assert transport.closed
    assert sorted(results) == [piece.number for piece in pieces]
    return results, warnings


def pieces(count, **arguments):
    return [Piece(number, **arguments) for number in range(count)]


def test_every_worker_has_two_items_and_all_are_done():
    """Two workers of one speed share twenty items of a second: ten seconds after loading."""
    transport = FakeTransport({}, {})
    results, warnings = run(transport, pieces(20), Policy())
    assert warnings == []
    assert transport.now == pytest.approx(1 + 10)
    assert {name for name, _ in results.values()} == {"worker 0", "worker 1"}


def test_work_begins_with_the_first_worker_and_later_ones_join():
    """A worker that has no room for 5 s gets its first item when it is ready, and not before."""
    transport = FakeTransport({}, {"loads": 5.0})
    run(transport, pieces(20))
    assert transport.links[0].handed[0] == (1.0, 0)
    assert transport.links[1].handed[0][0] == 5.0
    assert transport.now == pytest.approx(5 + (20 - 4) / 2, abs=1)


def test_all_are_waited_for_if_the_policy_says_so():
    """Processes of one machine begin together."""
    transport = FakeTransport({}, {"loads": 5.0})
    run(transport, pieces(4), Policy())
    assert transport.links[0].handed[0][0] == 5.0


def test_who_never_finds_room_is_not_waited_for():
    """A worker that the cluster has no room for does not hold up the end."""
    transport = FakeTransport({}, {"loads": None})
    run(transport, pieces(4))
    assert transport.links[1].handed == []


def test_while_nobody_is_ready_it_is_said():
    """Every two seconds, with the number of workers asked for."""
    said = []
    run(FakeTransport({"loads": 7.0}, {"loads": None}), pieces(1), waiting=said.append)
    assert said == [2, 2, 2]


def test_an_items_killer_ends_the_run_after_three_lives():
    """The item has its name in the line; what stood beside it in a worker's hands is done."""
    transport = FakeTransport({}, {}, {})
    deadly = [Piece(n, deadly=n == 3) for n in range(12)]
    dispatcher, done = Dispatcher(transport, ANY), set()
    events = dispatcher.run(iter(deadly))
    events = (done.add(message.number) for message, _ in events if isinstance(message, Done))
    with pytest.raises(ScoreError, match=r"^unit 3: 3 workers died while scoring it \(the last"):
        list(events)
    assert 3 not in done
    assert sum(number == 3 for link in transport.links for _, number in link.handed) == 3


def test_an_item_on_which_a_worker_died_is_alone_from_then_on():
    """After a death both items of the worker are handed out again, each without a neighbor."""
    transport = FakeTransport({}, {})
    transport.at(1.25, transport.links[0].die)
    _, warnings = run(transport, pieces(10), TOGETHER)
    tail = "a worker died while scoring it (1 times); another worker scored it."
    assert sorted(warnings) == [f"unit {number}: {tail}" for number in (0, 2)]
    later = {number: when for link in transport.links for when, number in link.handed}
    for number in (0, 2):  # nothing else is handed to its worker before it is done
        (link,) = (link for link in transport.links if (later[number], number) in link.handed)
        others = [when for when, n in link.handed if n != number]
        assert not any(later[number] <= when < later[number] + 1 for when in others)


def test_lost_machines_cost_no_item_a_life():
    """An item whose machine is lost ten times is done in the end; the last warning names it."""
    transport = FakeTransport({})
    link = transport.links[0]
    for loss in range(10):
        transport.at(1.5 + 1.9 * loss, lambda: link.die(node="node a"))
    results, warnings = run(transport, [Piece(0, seconds=1.5), Piece(1)])
    assert len(results) == 2
    assert "unit 0: node a was lost while scoring it; another worker scored it." in warnings
    assert not any("died" in line for line in warnings)


def test_a_worker_that_dies_while_it_loads_is_tried_three_times():
    """Then the line names the worker."""
    transport = FakeTransport({"loads": None})
    for death in range(3):
        transport.at(1.0 + death, transport.links[0].die)
    with pytest.raises(ScoreError, match=r"^worker 0: its worker died 3 times"):
        Dispatcher(transport, ANY)
    assert transport.closed


def test_items_of_a_lost_worker_go_to_those_that_are_there():
    """Its successor may never find room: the idle ones take them at once."""
    transport = FakeTransport({}, {})

    def lose():
        transport.links[0].loads = None
        transport.links[0].die(node="node a")

    transport.at(1.25, lose)
    results, _ = run(transport, pieces(6), Policy(wait_for=1))
    assert {name for name, _ in results.values()} == {"worker 1"}


def test_stragglers_are_handed_out_a_second_time():
    """A worker a hundred times as slow does not hold up the end; the first result counts."""
    transport = FakeTransport({}, {"slow": 100.0})
    results, warnings = run(transport, pieces(10))
    assert transport.now < 15
    assert {name for name, _ in results.values()} == {"worker 0"}
    assert warnings == []


def test_what_waits_in_a_workers_hands_is_taken_over_before_what_it_has_begun():
    """The second item of a busy worker is begun by an idle one, and its first one is left alone."""
    transport = FakeTransport({}, {})
    run(transport, [Piece(0), Piece(1, seconds=6), Piece(2), Piece(3, seconds=6)], TOGETHER)
    # 0 and 2 are one worker's, 1 and 3 the other one's
    assert transport.links[0].handed == [(1.0, 0), (1.0, 2), (3.0, 3)]
    assert transport.links[1].handed == [(1.0, 1), (1.0, 3)]
    assert transport.now == 9.0


def test_without_the_policy_nothing_is_handed_out_twice():
    """As on one machine, whose cores are shared."""
    transport = FakeTransport({}, {"slow": 10.0})
    run(transport, pieces(6), Policy())
    assert sum(len(link.handed) for link in transport.links) == 6


def test_a_worker_of_another_kind_is_not_used_and_named():
    """The line says what differs; it gets no item and is ended."""
    lines, kinds = [], [{"processor": "A", "torch": "2"}, {"processor": "B", "torch": "2"}]
    workers = [{"kind": kinds[0]}, {"kind": kinds[1]}, {"kind": kinds[0]}]
    transport = FakeTransport(*workers)
    run(transport, pieces(9), notice=lines.append)
    assert transport.links[1].handed == []
    assert not transport.links[1].alive
    (line,) = lines
    assert line.startswith("worker 1: not used, because it is of another kind")
    assert "processor B instead of A" in line
    transport = FakeTransport(*workers)
    run(transport, pieces(9), Policy(wait_for=1, mixed=True), notice=lines.append)
    assert len(lines) == 1
    assert transport.links[1].handed


def test_a_workers_error_is_raised_with_its_traceback():
    """From a worker that joins late as well."""
    transport = FakeTransport({}, {"loads": None})
    transport.at(2.5, lambda: transport.links[1].fail(ScoreError("model/: not found.")))
    with pytest.raises(ScoreError, match=r"^model/: not found.$") as caught:
        run(transport, pieces(9))
    assert "its traceback" in str(caught.value.__cause__)


def test_progress_of_an_item_comes_from_one_worker():
    """Also while two have it, so that it never goes back."""
    transport = FakeTransport({}, {"slow": 4.0})
    dispatcher = Dispatcher(transport, ANY)
    seen = {}
    for message, _ in dispatcher.run(iter(pieces(5))):
        if not isinstance(message, Done):
            assert seen.setdefault(message.number, message.value) == message.value


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_every_item_is_done_once(seed):
    """Random speeds, losses of machines and deaths that spare items which died before."""
    chance = random.Random(seed)
    workers = [
        {"slow": chance.uniform(0.5, 3), "loads": chance.uniform(0.1, 9)}
        for _ in range(chance.randint(1, 5))
    ]
    transport = FakeTransport(*workers)

    def trouble():
        alive = [link for link in transport.links if link.loaded and link.queue]
        if alive:
            link = chance.choice(alive)
            worker = next(one for one in dispatcher.workers if one.link is link)
            dead = worker.deaths or dispatcher._deaths.keys() & worker.items
            link.die(node="node x" if dead or chance.random() < 0.7 else "")
        transport.at(transport.now + chance.uniform(0.5, 6), trouble)

    transport.at(2.0, trouble)
    dispatcher = Dispatcher(transport, ANY)
    count = chance.randint(1, 40)
    done = []
    for message, _ in dispatcher.run(iter(pieces(count))):
        if isinstance(message, Done):
            done.append(message.number)
    assert sorted(done) == list(range(count))
