"""The program's own ways to run a network, by precision; the one place that names them."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.agreement import BF16, EXACT, FAITHFUL, QUANTIZED, Limit
from shards.errors import Error
from vocscore.models.card import checkpoint_hash
from vocscore.runtime.opening import open_checkpoint
from vocscore.runtime.precision import resolve_precision
from vocscore.scoring.engines.forward import CPU_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from bench.subjects import Subject
    from vocscore.runtime import Results, Runtime


@dataclass(frozen=True)
class Precision:
    """One way to run a network.

    Attributes:
        name: of `score --precision`.
        limit: of what it may differ by from eager float32.
        in_score: a contestant of 'score', too.
    """

    name: str
    limit: Limit
    in_score: bool = True

    @property
    def words(self) -> tuple[str, ...]:
        """Of the command line."""
        return () if self.name == "auto" else ("--precision", self.name)


PRECISIONS = {
    "default": Precision("auto", FAITHFUL),
    "float32": Precision("float32", EXACT),
    "bf16": Precision("bf16", BF16, in_score=False),
    "int8": Precision("int8", QUANTIZED),
}
"""What a contestant is called -> how it is asked for."""


def product(name: str, subject: Subject) -> str:
    """The kind of matrix product that bounds a precision; '' where none is measured."""
    _, card = subject.load()
    found = resolve_precision(PRECISIONS[name].name, card, device="cpu")
    return "" if found == "int8" else found


def open_precisions(
    subject: Subject, *, only_scored: bool = False
) -> tuple[dict[str, Runtime], dict[str, str]]:
    """Open the runtimes that `score` would use.

    Returns:
        Name -> runtime, and name -> why it cannot be had.
    """
    found: dict[str, Runtime] = {}
    absent: dict[str, str] = {}
    _, card = subject.load()
    for name, precision in PRECISIONS.items():
        if only_scored and not precision.in_score:
            continue
        with _reason(absent, name):
            found[name], _ = open_checkpoint(
                subject.run,
                identity=checkpoint_hash(subject.run),
                device="cpu",
                precision=resolve_precision(precision.name, card, device="cpu"),
                group=CPU_GROUP,
            )
    return found, absent


@contextmanager
def _reason(absent: dict[str, str], name: str) -> Iterator[None]:
    try:
        yield
    except (Error, ImportError) as error:
        absent[name] = str(error)


def groups(images: torch.Tensor) -> list[torch.Tensor]:
    """Images in the numbers that `score` hands to a network on the CPU."""
    return [images[at : at + CPU_GROUP] for at in range(0, len(images), CPU_GROUP)]


def enough(ready: Sequence[torch.Tensor], runtime: Runtime, *, images: int) -> list[torch.Tensor]:
    """Repeat batches to so many images or a few more, so that no core is idle at the end.

    A ceiling of five batches on two cores would be that of six.
    """
    at_work = runtime.in_flight - 1
    number = -(-max(1, images // CPU_GROUP) // at_work) * at_work
    return [ready[n % len(ready)] for n in range(number)]


def run_through(runtime: Runtime, images: Sequence[torch.Tensor]) -> int:
    """Send batches through a runtime, as many at once as it takes; return how many images."""
    under_way: deque[Results] = deque()
    for batch in images:
        if len(under_way) >= runtime.in_flight:
            under_way.popleft()()
        under_way.append(runtime.submit(batch))
    for results in under_way:
        results()
    return sum(map(len, images))
