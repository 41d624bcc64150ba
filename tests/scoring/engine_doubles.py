"""Openers of fake engines, in a module of their own: a worker's process imports it."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from score_doubles import CLASSES, FakeForward, FakeLoader

from vocscore.errors import ScoreError
from vocscore.scoring.engines.local import LocalEngine

if TYPE_CHECKING:
    from pathlib import Path


class UnsendableError(RuntimeError):
    """Cannot be made again from what pickle keeps of it."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


class TroubledLoader(FakeLoader):
    """Meets trouble at images that ask for it by their names."""

    def __init__(self, deaths: Path | None, *, seconds_per_batch: float) -> None:
        super().__init__(3, seconds_per_batch=seconds_per_batch)
        self.deaths = deaths

    def batches(self, images, *, labels=None, order=None):
        for batch in super().batches(images):
            names = " ".join(batch.images)
            if "kills" in names and next_death(self.deaths):
                os.kill(os.getpid(), signal.SIGKILL)
            if "leaves" in names and next_death(self.deaths):
                leave_a_child(self.deaths.with_name("child"))
                os.kill(os.getpid(), signal.SIGKILL)
            if "refused" in names:
                raise ScoreError(f"{names}: refused. Use another.")
            if "broken" in names:
                raise ZeroDivisionError("nobody foresaw this")
            if "unsendable" in names:
                raise UnsendableError("one", "two")
            yield batch


@dataclass(frozen=True)
class FakeOpener:
    """Opens a fake engine.

    Attributes:
        deaths: a folder with a file for each death still to die; None for no end of deaths.
        dies_at_once: while it loads.
        fails_at_once: while it loads, with an error.
    """

    deaths: Path | None = None
    seconds_per_batch: float = 0.0
    dies_at_once: bool = False
    fails_at_once: bool = False
    device: str = "cpu"
    kind: dict[str, str] = field(default_factory=dict)

    def open(self):
        if self.dies_at_once and next_death(self.deaths):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fails_at_once:
            raise ScoreError("model/: damaged. Train again.")
        loader = TroubledLoader(self.deaths, seconds_per_batch=self.seconds_per_batch)
        return LocalEngine(loader, FakeForward(), classes=len(CLASSES))


def leave_a_child(file: Path) -> None:
    """Fork a process that does nothing and has inherited every pipe; write down its number."""
    child = os.fork()
    if not child:
        time.sleep(600)
        os._exit(0)
    file.write_text(str(child))


def next_death(deaths: Path | None) -> bool:
    """Whether to die once more."""
    if deaths is None:
        return True
    left = sorted(deaths.iterdir())
    for file in left[:1]:
        file.unlink()
    return bool(left)
