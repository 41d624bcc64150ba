"""What a file or folder of vocscore is, and what it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shards.packed_set import manifest_of
from shards.paths import shown
from vocscore.api import info_sections
from vocscore.errors import InfoError
from vocscore.local_folders import named_by
from vocscore.printed import Printed
from vocscore.records.keys import shown as current_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_KINDS: Final = (
    "Name predictions (a file or folder that 'vocscore score' wrote or is writing, or the record "
    "beside it), a run of 'vocscore train', shards of 'vocscore pack', or an exported model."
)
_MOST_CLASSES: Final = 20


@dataclass(frozen=True)
class Info(Printed):
    """Facts about predictions, a run, packed shards or an exported model.

    Attributes:
        path: as it was named; of a URL, that of the copy.
        kind: 'predictions', 'unfinished predictions', 'run', 'unfinished run', 'shards' or
            'exported model'.
        sections: title -> name -> plain value.
    """

    path: Path
    kind: str
    sections: Mapping[str, Mapping[str, Any]]

    def __str__(self) -> str:
        """Return the sections as text; line ends and control codes in values are escaped."""
        return "\n".join(self._lines())

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"path": named_by(self.path), "kind": self.kind, **self.sections}

    def _lines(self) -> Iterator[str]:
        yield f"{shown(named_by(self.path))}: {self.kind}"
        for title, facts in self.sections.items():
            told = {name: value for name, value in facts.items() if value not in (None, [], (), {})}
            if told:
                yield f"\n{title}"
            width = max(map(len, map(_name, told)), default=0)
            for name, value in told.items():
                yield f"  {_name(name):{width}}  {_text(value)}"


def read_info(path: Path) -> Info:
    """Find out what a path is, and read its facts.

    Images are not read, weights are only hashed.

    Raises:
        InfoError: it is nothing that vocscore writes.
        Error: it is damaged.
        OSError: it cannot be read.
    """
    work = path if path.name.endswith(".parts") else path.with_name(f"{path.name}.parts")
    if (work / "plan.json").exists() and (path == work or not path.exists()):
        return Info(path, "unfinished predictions", info_sections.unfinished(work))
    if not path.exists():
        raise InfoError(f"{shown(str(path))}: no such file or folder. {_KINDS}")
    found = _folder(path) if path.is_dir() else _file(path)
    if found is None:
        raise InfoError(f"{shown(named_by(path))}: nothing that vocscore writes. {_KINDS}")
    return found


def _folder(path: Path) -> Info | None:
    manifest = manifest_of(path)
    if manifest is not None:
        return Info(path, "shards", info_sections.shards(path, manifest))
    if info_sections.is_run(path):
        finished = info_sections.is_finished_run(path)
        return Info(path, "run" if finished else "unfinished run", info_sections.run(path))
    if any(path.glob("part-*")):
        return Info(path, "predictions", info_sections.predictions(path))
    return None


def _file(path: Path) -> Info | None:
    if path.suffix == ".json":
        record = info_sections.own_record(path)
        return None if record is None else Info(path, "predictions", record)
    if path.suffix in (".onnx", ".xml"):
        facts = info_sections.exported(path)
        return None if facts is None else Info(path, "exported model", facts)
    if info_sections.is_predictions(path):
        return Info(path, "predictions", info_sections.predictions(path))
    return None


def _name(key: str) -> str:
    return shown(current_name(key))


def _text(value: Any) -> str:
    """Return one line for a plain value; long lists are cut, and say so."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return _cut([f"{shown(str(name))} {_text(one)}" for name, one in value.items()])
    if isinstance(value, (list, tuple)):
        return _cut([_text(one) for one in value])
    return shown(str(value))


def _cut(words: list[str]) -> str:
    more = len(words) - _MOST_CLASSES
    return ", ".join(words[:_MOST_CLASSES]) + (f" and {more} more" if more > 0 else "")
