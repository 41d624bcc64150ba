"""Predictions from JSON lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shards.files import open_binary
from vocscore.errors import EvalError
from vocscore.evaluation.collected import BadRowError, left_out

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.evaluation.collected import Collector


def read_jsonl(file: Path, into: Collector) -> None:
    """Read lines with path, status and probabilities; the first good one tells the classes.

    Raises:
        EvalError: a line is damaged, or has other classes than the first.
        OSError: the file cannot be read.
    """
    with open_binary(file) as lines:
        number = 0
        try:
            for number, line in enumerate(lines, 1):  # noqa: B007 - told in the error
                _add(json.loads(line), file, into)
        except (KeyError, TypeError, ValueError, AttributeError, BadRowError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else error
            raise EvalError(f"{file}, line {number}: {what}. Score again.") from error


def _add(row: dict[str, Any], file: Path, into: Collector) -> None:
    path, status = row["path"], row["status"]
    if "path_bytes" in row:
        path = bytes.fromhex(row["path_bytes"]).decode("utf-8", "surrogateescape")
    if status != "ok":
        into.add(path, status, (), None)
        return
    found: dict[str, float] = row.get("probabilities", {})
    classes = into.classes or into.expect(list(found), file=file)
    odd = [name for name in classes if name not in found] or [n for n in found if n not in classes]
    if odd:
        raise (
            left_out(odd[0])
            if odd[0] in classes
            else BadRowError(
                f"a probability for {odd[0]}, which the rows before it do not have (written with "
                "--top-k or --min-probability?), and a comparison needs all"
            )
        )
    into.add(path, status, [found[name] for name in classes], row.get("labels"))
