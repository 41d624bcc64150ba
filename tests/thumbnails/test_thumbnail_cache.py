"""Thumbnails of rows: made once, by threads, within a limit of bytes, and of the right row."""

from __future__ import annotations

from concurrent.futures import CancelledError, wait
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest
from drawn_images import MANY, drawn, encoded, opened
from written_predictions import HOSTILE, draw

from shards.errors import BadImage, Reason
from vocscore.columns.dataset import Dataset, open_dataset
from vocscore.thumbnails.cache import Thumbnails
from vocscore.thumbnails.image_source import ImageSource
from vocscore.thumbnails.thumbnail import preview, thumbnail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = 12
HALF, GONE = 10, 11
"""A row whose image is cut short, and one whose image is not there."""


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Predictions and their images, each of another width; two rows failed."""
    written = draw(ROWS, names=HOSTILE[:6], failing=(HALF, GONE))
    photos = tmp_path / "photos"
    for row, name in enumerate(written.names[:GONE]):
        file = photos / name
        file.parent.mkdir(parents=True, exist_ok=True)
        data = encoded(drawn(100 + row, 60))
        file.write_bytes(data[: len(data) * 3 // 4] if row == HALF else data)
    return open_dataset(written.write(tmp_path / "p.csv"), images=photos)


@pytest.fixture
def thumbnails(dataset: Dataset) -> Iterator[Thumbnails]:
    """They are closed after the test."""
    made = Thumbnails(dataset)
    yield made
    made.close()


class Reads:
    """Counts the files that are read, and holds the reader until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, held: bool = False) -> None:
        self.names: list[str] = []
        self.begun, self.go = Event(), Event()
        if not held:
            self.go.set()
        read = ImageSource.read

        def counted(source: ImageSource, *names: str) -> bytes:
            self.names.append(names[0])
            self.begun.set()
            assert self.go.wait(60)
            return read(source, *names)

        monkeypatch.setattr(ImageSource, "read", counted)


def width(made: bytes) -> int:
    """Of a thumbnail that was not resized, which tells the row."""
    return opened(made).width


def test_each_row_has_its_own_image(dataset: Dataset, thumbnails: Thumbnails) -> None:
    """By number, whatever the names contain; all rows at once."""
    asked = [(row, side) for row in range(HALF) for side in (384, 48)]
    futures = [thumbnails.submit(row, side) for row, side in asked]
    for (row, side), future in zip(asked, futures, strict=True):
        made = future.result(60)
        data = encoded(drawn(100 + row, 60))
        assert made == thumbnail(data, side, max_pixels=MANY)
        assert width(made) == min(side, 100 + row)
    assert dataset.table.path(3) == HOSTILE[3]


def test_failed_rows_have_a_preview_or_a_fault(dataset: Dataset, thumbnails: Thumbnails) -> None:
    """A JPEG that is cut short is shown as far as it goes; one that is gone says so."""
    data = thumbnails.read(HALF)
    with pytest.raises(BadImage):
        thumbnail(data, 96, max_pixels=MANY)
    assert thumbnails.submit(HALF, 96).result(60) == preview(data, 96, max_pixels=MANY)
    assert dataset.table.failed[GONE]
    for ask in (lambda: thumbnails.submit(GONE, 96).result(60), lambda: thumbnails.facts(GONE)):
        with pytest.raises(BadImage) as caught:
            ask()
        assert caught.value.fault.reason is Reason.VANISHED


def test_a_row_that_was_scored_and_is_damaged_now_is_refused(
    dataset: Dataset, thumbnails: Thumbnails
) -> None:
    """A thumbnail of half an image would look like what was scored."""
    assert dataset.images is not None
    file = dataset.images / dataset.table.path(0)
    file.write_bytes(file.read_bytes()[:-300])
    with pytest.raises(BadImage) as caught:
        thumbnails.submit(0, 96).result(60)
    assert caught.value.fault.reason is Reason.TRUNCATED


def test_failures_are_not_kept(dataset: Dataset, thumbnails: Thumbnails) -> None:
    """An image that comes back is shown."""
    assert dataset.images is not None
    file = dataset.images / dataset.table.path(1)
    data = file.read_bytes()
    file.unlink()
    with pytest.raises(BadImage):
        thumbnails.submit(1, 96).result(60)
    file.write_bytes(data)
    assert thumbnails.submit(1, 384).result(60) == thumbnail(data, 384, max_pixels=MANY)
    assert width(thumbnails.submit(1, 96).result(60)) == 96


def test_a_kept_thumbnail_is_not_made_again(
    thumbnails: Thumbnails, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is read once for each side, also when it has changed since."""
    reads = Reads(monkeypatch)
    first = thumbnails.submit(2, 96).result(60)
    again = thumbnails.submit(2, 96)
    assert again.done()
    assert again.result() is first
    thumbnails.submit(2, 48).result(60)
    assert len(reads.names) == 2


def test_equal_requests_at_once_are_one(
    thumbnails: Thumbnails, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tabs that show the same page decode each image once."""
    reads = Reads(monkeypatch, held=True)
    futures = [thumbnails.submit(3, 96) for _ in range(20)]
    reads.go.set()
    assert len({id(future.result(60)) for future in futures}) == 1
    assert len(reads.names) == 1


def test_the_limit_of_bytes_holds(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last thumbnails that fit are kept, and the one that was used longest ago goes first."""
    sizes = [len(thumbnail(encoded(drawn(100 + r, 60)), 96, max_pixels=MANY)) for r in range(4)]
    reads = Reads(monkeypatch)
    limited = Thumbnails(dataset, kept_bytes=sum(sizes[:3]))
    try:
        for row in (0, 1, 2, 0, 3):  # 1 is the one that has to go
            limited.submit(row, 96).result(60)
        assert len(reads.names) == 4
        for row in (2, 0, 3):
            assert limited.submit(row, 96).done(), row
        limited.submit(1, 96).result(60)
        assert len(reads.names) == 5
    finally:
        limited.close()


def test_forgotten_thumbnails_leave_their_bytes_to_others(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as before fit."""
    size = max(len(thumbnail(encoded(drawn(100 + r, 60)), 96, max_pixels=MANY)) for r in range(4))
    reads = Reads(monkeypatch)
    limited = Thumbnails(dataset, kept_bytes=2 * size)
    try:
        for rows in ((0, 1), (2, 3)):
            for row in rows:
                limited.submit(row, 96).result(60)
            assert all(limited.submit(row, 96).done() for row in rows)
            limited.forget()
        assert len(reads.names) == 4
    finally:
        limited.close()


def test_a_thumbnail_above_the_limit_is_made_and_not_kept(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit of nothing keeps nothing, and everything is still shown."""
    reads = Reads(monkeypatch)
    none = Thumbnails(dataset, kept_bytes=0)
    try:
        for _ in range(2):
            assert width(none.submit(0, 384).result(60)) == 100
        assert len(reads.names) == 2
    finally:
        none.close()


def test_forgotten_thumbnails_are_made_again(
    thumbnails: Thumbnails, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a run has ended and its rows have the order of the output."""
    reads = Reads(monkeypatch)
    thumbnails.submit(0, 96).result(60)
    thumbnails.forget()
    thumbnails.submit(0, 96).result(60)
    assert len(reads.names) == 2


def test_what_was_being_made_when_rows_changed_is_not_shown_for_a_new_row(
    dataset: Dataset, thumbnails: Thumbnails, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thumbnail that was asked for before `forget` is neither kept nor given out after it."""
    reads = Reads(monkeypatch, held=True)
    old = thumbnails.submit(0, 384)
    assert reads.begun.wait(60)
    monkeypatch.setattr(type(dataset.table), "path", lambda _table, row: HOSTILE[(row + 1) % 6])
    thumbnails.forget()
    new = thumbnails.submit(0, 384)
    reads.go.set()
    wait([old, new], 60)
    assert width(new.result()) == 101
    assert width(thumbnails.submit(0, 384).result(60)) == 101


def test_a_request_that_is_given_up_does_not_end_the_others(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Canceling one future leaves the row to be shown to everybody else."""
    monkeypatch.setattr("vocscore.thumbnails.cache.usable_cores", lambda: 1)
    reads = Reads(monkeypatch, held=True)
    one = Thumbnails(dataset)
    try:
        first = one.submit(0, 384)
        assert reads.begun.wait(60)
        one.submit(1, 384).cancel()  # waits for the only thread
        other = one.submit(1, 384)
        reads.go.set()
        assert width(first.result(60)) == 100
        assert width(other.result(60)) == 101
    finally:
        reads.go.set()
        one.close()


def test_close_finishes_what_is_being_made(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits is canceled, and no thread is left."""
    monkeypatch.setattr("vocscore.thumbnails.cache.usable_cores", lambda: 1)
    reads = Reads(monkeypatch, held=True)
    one = Thumbnails(dataset)
    first, waiting = one.submit(0, 384), one.submit(1, 384)
    assert reads.begun.wait(60)
    closing = Thread(target=one.close)
    closing.start()
    with pytest.raises(CancelledError):
        waiting.result(60)
    assert closing.is_alive()
    reads.go.set()
    closing.join(60)
    assert not closing.is_alive()
    assert width(first.result(0)) == 100
    assert len(reads.names) == 1
