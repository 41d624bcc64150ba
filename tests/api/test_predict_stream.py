"""Inputs that come one after the other: when they are taken, and what happens when they fail."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import vocscore as vs
from shards.sample import ImageRef
from vocscore.api.inputs import Entry
from vocscore.api.stream import MOST_BYTES, cut
from vocscore.errors import ScoreError


def counted(paths, taken):
    for number in itertools.count():
        taken.append(threading.get_ident())
        yield paths[number % len(paths)]


def test_results_of_an_endless_generator_come_while_it_is_gone_through(model, paths):
    """The first ones after a group; later no more than three chunks of 64 ahead."""
    taken = []
    results = iter(model.predict(counted(paths, taken)))
    for number in range(400):
        assert next(results).path == paths[number % len(paths)]
        assert len(taken) <= max(32, number + 3 * 64)
    assert set(taken) == {threading.get_ident()}  # it may use what belongs to its thread


def test_a_failing_generator_raises_behind_the_results_of_what_it_gave(model, paths):
    """What it raised, and not another error."""

    def failing():
        yield from paths[:5]
        raise LookupError("no more frames")

    results = iter(model.predict(failing()))
    assert [next(results).path for _ in range(5)] == paths[:5]
    with pytest.raises(LookupError, match="no more frames"):
        next(results)


def test_a_generator_may_use_its_buffer_again(model):
    """An array is copied when it is taken."""
    random = np.random.default_rng(0)
    frames = [random.integers(256, size=(40, 50, 3), dtype=np.uint8) for _ in range(40)]

    def through_one_buffer():
        buffer = np.empty_like(frames[0])
        for frame in frames:
            buffer[:] = frame
            yield buffer

    expected = [one.vector for one in model.predict(frames)]
    for one, vector in zip(model.predict(through_one_buffer()), expected, strict=True):
        np.testing.assert_allclose(one.vector, vector, rtol=0, atol=1e-6)


def entry(number, nbytes=0, *, starts=False):
    return Entry(ImageRef(str(number), str(number)), str(number), starts, nbytes)


@pytest.mark.parametrize("patient", [True, False])
def test_chunks_are_whole_groups_and_lose_nothing(patient):
    """They begin small and grow; a new one begins where a unit of `vocscore score` does."""
    for group in (32, 48, 64, 100, 300):
        chunks = list(cut(map(entry, range(5000)), group=group, patient=patient))
        assert [int(e.path) for chunk in chunks for e in chunk] == list(range(5000))
        starts = [int(chunk[0].path) for chunk in chunks]
        assert {0, 2048, 4096} <= set(starts)
        assert all(start % 2048 % group == 0 for start in starts)
        assert len(chunks[0]) == group
        assert max(map(len, chunks)) <= max(group, 64 if patient else 256)


def test_a_tar_begins_a_chunk():
    """As it begins a unit of `vocscore score`."""
    entries = [entry(0), entry(1, starts=True), *map(entry, range(2, 60)), entry(60, starts=True)]
    assert list(map(len, cut(iter(entries), group=32, patient=False))) == [1, 32, 27, 1]


def test_images_that_hold_much_memory_end_a_chunk():
    """So that a chunk holds little more than its limit."""
    entries = [entry(number, MOST_BYTES // 3 + 1) for number in range(7)]
    assert list(map(len, cut(iter(entries), group=32, patient=False))) == [3, 3, 1]


def test_a_program_ends_with_results_that_another_thread_began(run_folder, paths):
    """They are still referenced and some are in progress; the interpreter does not wait on."""
    program = f"""
import itertools, threading
import vocscore as vs
model = vs.load({str(run_folder)!r}, device="cpu", workers=2)
kept = [model.predict(itertools.cycle({paths!r})), model.predict({paths!r})]
for results in kept:
    thread = threading.Thread(target=lambda: print(next(iter(results)).path))
    thread.start()
    thread.join()
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.split() == [paths[0]] * 2
    assert "Exception" not in ended.stderr


def test_a_model_of_another_process_is_refused(run_folder, paths):
    """A fork has none of its threads: it would wait for ever, for new results and for old ones."""
    with vs.load(run_folder, device="cpu", workers=2) as model:
        begun = iter(model.predict(iter(paths * 4)))
        next(begun)
        calls = [
            lambda: model.predict(paths),
            lambda: model.features(paths),
            lambda: list(begun),
        ]
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # a child that waits is ended
            told = 0
            for call in calls:
                try:
                    call()
                except ScoreError as error:  # noqa: PERF203
                    told += "loaded in another process. Load it in this one" in str(error)
            model.close()
            os._exit(told)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == len(calls)
        assert len(list(begun)) == len(paths) * 4 - 1


@pytest.mark.parametrize("stream", [True, False])
def test_a_closed_model_ends_what_is_in_progress(run_folder, paths, stream):
    """Its threads too; what is left says so, now and later."""
    before = set(threading.enumerate())
    model = vs.load(run_folder, device="cpu", workers=2)
    found = model.predict(iter(paths * 30) if stream else paths * 30)
    results = iter(found)
    next(results)
    model.close()
    assert set(threading.enumerate()) <= before
    with pytest.raises(ScoreError, match=r"the model is closed\. Load it again\."):
        list(results)
    with pytest.raises(ScoreError, match=r"incomplete: .*the model is closed\. Load it again"):
        list(found)
    assert repr(model).endswith(" on cpu, closed>")
    with pytest.raises(ScoreError, match="the model is closed"), model:
        pass


def test_a_model_is_closed_while_other_threads_wait_for_results(run_folder, paths):
    """They get the error and not a bare one of a pool; so does `features`."""
    before = set(threading.enumerate())
    model = vs.load(run_folder, device="cpu", workers=2)
    model.features([])
    told = []

    def take(call):
        try:
            call()
        except ScoreError as error:
            told.append(str(error))

    endless = itertools.cycle(paths)
    calls = [lambda: list(model.predict(endless)), lambda: model.features(paths * 600)]
    threads = [threading.Thread(target=take, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    threads[0].join(0.3)
    model.close()
    for thread in threads:
        thread.join()
    assert [line.partition(": ")[2] for line in told] == ["the model is closed. Load it again."] * 2
    assert set(threading.enumerate()) <= before
