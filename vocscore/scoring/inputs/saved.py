"""Writes listed inputs to a file, so that several processes score the same without listing again.

The file is one line of JSON, and for loose images their names as `freeze` writes them.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from shards.errors import Fault, Reason
from vocscore.errors import ScoreError
from vocscore.scoring.inputs.frozen import freeze, read_frozen
from vocscore.scoring.inputs.globs import Globs
from vocscore.scoring.inputs.tar_units import Tars
from vocscore.scoring.inputs.units import LooseFiles

if TYPE_CHECKING:
    from vocscore.scoring.inputs.units import Inputs

_FORMAT: Final = "vocscore listing 1"
_LONGEST_HEAD: Final = 1 << 30
_TAR_FIELDS: Final = ("names", "sizes", "changed", "samples")


class ListingError(ScoreError):
    """A stored listing is incomplete, was changed, or is of another version."""


def write_inputs(inputs: Inputs, file: BinaryIO) -> None:
    """Write listed inputs to a file, which is only written to.

    Equal inputs give equal bytes. The folder that names are relative to is written absolute.
    """
    head: dict[str, Any] = {
        "format": _FORMAT,
        "digest": inputs.digest(),
        "skipped": dict(inputs.skipped),
        "problems": list(inputs.problems),
        "include": inputs.globs.include,
        "exclude": inputs.globs.exclude,
    }
    if isinstance(inputs, LooseFiles):
        faults = {name: [str(one.reason), one.detail] for name, one in inputs.faults.items()}
        head |= {"root": _absolute(inputs.root), "stamps": inputs.stamps, "faults": faults}
        if inputs.signed:
            head |= {"digest": inputs.names_digest(), "signed": True}
        file.write(_line(head))
        freeze(inputs.names, file)
        return
    assert isinstance(inputs, Tars), "the only other kind of inputs"
    head |= {"root": _absolute(inputs.root)}
    file.write(_line(head | {name: getattr(inputs, name) for name in _TAR_FIELDS}))


def read_inputs(file: Path) -> LooseFiles | Tars:
    """Read what `write_inputs` wrote. The file stays open, and may be removed meanwhile.

    Raises:
        ListingError: it is incomplete or changed, or was written by another version.
        OSError: it cannot be read.
    """
    with ExitStack() as held:
        opened = held.enter_context(file.open("rb"))
        head = _head(opened.readline(_LONGEST_HEAD), file)
        shared: dict[str, Any] = {
            "root": head["root"],
            "skipped": head["skipped"],
            "problems": tuple(head["problems"]),
            "globs": Globs(tuple(head["include"]), tuple(head["exclude"])),
        }
        if "sizes" in head:
            tars = Tars(**shared, **{key: head[key] for key in _TAR_FIELDS})
            if tars.digest() != head["digest"]:
                raise _refusal(file)
            return tars
        faults = {
            name: Fault(Reason(one), detail) for name, (one, detail) in head["faults"].items()
        }
        names = read_frozen(opened, file, digest=head["digest"])
        held.pop_all()  # the names are read from it later
        return LooseFiles(
            names=names,
            faults=faults,
            stamps=head["stamps"],
            signed=head.get("signed", False),
            **shared,
        )


def _absolute(root: str) -> str:
    """Return a folder as every process finds it, wherever it was started."""
    return root if "://" in root else str(Path(root).absolute())


def _line(head: dict[str, Any]) -> bytes:
    return json.dumps(head).encode("ascii") + b"\n"


def _head(line: bytes, file: Path) -> dict[str, Any]:
    try:
        head = json.loads(line)
    except ValueError as error:
        raise _refusal(file) from error
    if not isinstance(head, dict) or head.get("format") != _FORMAT or not line.endswith(b"\n"):
        raise _refusal(file)
    return head


def _refusal(file: Path) -> ListingError:
    return ListingError(
        f"{file}: an incomplete listing of inputs, or one of another version. Remove it."
    )
