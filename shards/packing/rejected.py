"""`rejected.csv`: the images left out of a set, and why."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import TYPE_CHECKING, Final

from shards import atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from shards.sample import Rejection

REJECTED: Final = "rejected.csv"


def write_rejected(file: Path, rejected: Iterable[Rejection]) -> None:
    """Write one line per image left out, sorted by path; the header even if there are none.

    UTF-8; bytes of a file name that are not UTF-8 are written unchanged, and characters that no
    file name can contain (but a table can name) are escaped.

    Raises:
        OSError: the folder is full or read-only.
    """
    rows = sorted(
        (_known(bad.path), bad.fault.reason.value, _known(bad.fault.detail)) for bad in rejected
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "reason", "detail"))
    writer.writerows(rows)
    atomic.write(file, text.getvalue().encode("utf-8", "surrogateescape"))


def _known(text: str) -> str:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def rejection_reasons(rejected: Sequence[Rejection]) -> str:
    """Count rejections by reason: '2 missing, 1 not_annotated'."""
    reasons = Counter(str(rejection.fault.reason) for rejection in rejected)
    return ", ".join(f"{n} {reason}" for reason, n in sorted(reasons.items()))
