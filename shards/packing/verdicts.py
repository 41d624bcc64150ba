"""`checked.jsonl`: what was found out about each image, as far as it is known."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from shards.errors import Fault, Reason
from shards.packing.borders import Accepted, Made, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shards.packing.plan import Plan


class Verdicts:
    """The verdicts on the images of each unit, in a file; only their places are in memory.

    The first line names the plan, so that verdicts on other images are never used; the following
    ones have a unit each. A unit whose made bytes are gone counts as unchecked.

    Args:
        file: where they are and will be; created by the first unit.
        plan: what is packed.

    Attributes:
        made: number of a unit -> the file with the bytes made of its images.
        rejected: number of a unit -> number of images left out.
    """

    def __init__(self, file: Path, plan: Plan) -> None:
        self._file = file
        self._head = _line({"plan": hashlib.sha256(plan.to_json()).hexdigest()})
        self._places: dict[int, tuple[int, int]] = {}
        self._size = 0
        self.made: dict[int, str] = {}
        self.rejected: dict[int, int] = {}
        self._load()

    def __contains__(self, number: object) -> bool:
        """Whether the images of this unit have been checked."""
        return number in self._places

    def add(self, number: int, verdicts: Sequence[Verdict]) -> None:
        """Durably record the verdicts on the images of a unit.

        Raises:
            OSError: the folder is full or read-only.
        """
        line = _line({"unit": number, "verdicts": [_value(verdict) for verdict in verdicts]})
        with self._file.open("r+b" if self._size else "wb") as file:
            file.seek(self._size)
            at = self._size + (file.write(self._head) if not self._size else 0)
            file.write(line)
            file.truncate()  # a line that was cut short
            file.flush()
            os.fsync(file.fileno())
        self._size = at + len(line)
        self._note(number, (at, len(line)), verdicts)

    def read(self, number: int) -> list[Verdict]:
        """Read the verdicts on the images of a unit, in order.

        Raises:
            KeyError: it has not been checked.
        """
        start, size = self._places[number]
        with self._file.open("rb") as file:
            file.seek(start)
            return _parse(file.read(size))[1]

    def _load(self) -> None:
        """Find the units that are in the file; what follows a damaged line is overwritten."""
        try:
            file = self._file.open("rb")
        except FileNotFoundError:
            return
        with file:
            if file.readline() != self._head:
                return
            at = len(self._head)
            for line in file:
                try:
                    number, verdicts = _parse(line)
                except (ValueError, TypeError, KeyError):
                    break
                if not line.endswith(b"\n"):
                    break
                self._note(number, (at, len(line)), verdicts)
                at += len(line)
            self._size = at
        there = {path.name for path in self._file.parent.iterdir()}
        for number, name in list(self.made.items()):
            if name not in there:
                del self.made[number], self._places[number], self.rejected[number]

    def _note(self, number: int, place: tuple[int, int], verdicts: Sequence[Verdict]) -> None:
        self._places[number] = place
        self.rejected[number] = sum(isinstance(verdict, Fault) for verdict in verdicts)
        self.made.pop(number, None)
        for verdict in verdicts:
            if isinstance(verdict, Accepted) and verdict.made is not None:
                self.made[number] = verdict.made.file
                break


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"


def _value(verdict: Verdict) -> object:
    return asdict(verdict) if isinstance(verdict, Fault) else verdict


def _parse(line: bytes) -> tuple[int, list[Verdict]]:
    """Parse a line.

    Raises:
        ValueError, TypeError, KeyError: it is damaged.
    """
    value = json.loads(line)
    return int(value["unit"]), [_verdict(one) for one in value["verdicts"]]


def _verdict(value: Any) -> Verdict:
    if isinstance(value, dict):
        return Fault(Reason(value["reason"]), value["detail"])
    extension, width, height, sha256, original, made = value
    return Accepted(
        extension,
        width,
        height,
        sha256,
        original=None if original is None else (original[0], original[1]),
        made=None if made is None else Made(*made),
    )
