"""Reads the data.yaml of a YOLO data set: the names of its classes and its splits.

Source of the format: https://docs.ultralytics.com/datasets/detect/ and `check_det_dataset` of
ultralytics 8.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml

from shards.errors import SourceError
from shards.files import read_regular
from shards.paths import shown
from shards.split_names import known_split

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LARGEST: Final = 1 << 20
"""Bytes; a data.yaml of 10,000 classes has 300 kB."""
_NULL: Final = "tag:yaml.org,2002:null"
_CURE: Final = "See https://docs.ultralytics.com/datasets/detect/"


class YoloConfig(NamedTuple):
    """The contents of a data.yaml.

    Attributes:
        file: the file.
        base: `path`, the folder that the splits' folders are relative to, as written; or None.
        names: the classes, by index.
        splits: split -> folders of images, or text files with paths of images, as written.
        keypoints: numbers per object that follow its box (`kpt_shape`); 0 for other tasks.
    """

    file: Path
    base: str | None
    names: tuple[str, ...]
    splits: Mapping[str, tuple[str, ...]]
    keypoints: int


def is_config(file: Path) -> bool:
    """Whether a YAML file describes a YOLO data set: it has 'names' or 'nc', and a split."""
    try:
        top = _mapping(_compose(file), file, "the file")
    except SourceError:
        return False
    return bool({"names", "nc"} & top.keys()) and any(known_split(key) for key in top)


def is_damaged(file: Path) -> bool:
    """Whether a file exists but cannot be read as YAML, or is not a list of keys and values."""
    try:
        _mapping(_compose(file), file, "the file")
    except SourceError:
        return file.is_file()
    return False


def read_config(file: Path) -> YoloConfig:
    """Read a data.yaml. Names are the text as written: `no` and `1` are names, not values.

    Raises:
        SourceError: it cannot be read, is not YAML, has no names or no split, or contradicts
            itself. Names the line.
    """
    top = _mapping(_compose(file), file, "the file")
    splits: dict[str, tuple[str, ...]] = {}
    for key, node in top.items():
        split = known_split(key)
        folders = _texts(node, file, key) if split else ()
        if split in splits and folders:
            raise SourceError(f"{_at(file, node)}: '{key}' is a second '{split}'. Keep one.")
        if split and folders:
            splits[split] = folders
    if not splits:
        raise SourceError(f"{file}: no folder of images under train, val or test. {_CURE}")
    base = _texts(top["path"], file, "path") if "path" in top else ()
    return YoloConfig(
        file, next(iter(base), None), _names(top, file), splits, _keypoints(top, file)
    )


def _compose(file: Path) -> Any:
    """The file as nodes. Nothing is constructed, so no tag has an effect and no alias expands."""
    try:
        if file.stat().st_size > _LARGEST:
            raise SourceError(f"{file}: more than {_LARGEST >> 20} MiB: not a data.yaml.")
        text = read_regular(file).decode("utf-8-sig")
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{file}: not UTF-8 at byte {error.start}. Save it as UTF-8.") from None
    except RecursionError:
        raise SourceError(f"{file}: nested too deeply for a data.yaml. {_CURE}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        why = getattr(error, "problem", None) or "a character that YAML does not allow"
        raise SourceError(f"{file}{line}: not YAML: {shown(why)}. Correct it.") from None


def _at(file: Path, node: Any) -> str:
    return f"{file}, line {node.start_mark.line + 1}"


def _mapping(node: Any, file: Path, what: str) -> dict[str, Any]:
    """The keys of a mapping, as text, with their nodes.

    Raises:
        SourceError: it is not a mapping, or a key is repeated or not text.
    """
    if not isinstance(node, yaml.MappingNode):
        where = _at(file, node) if node is not None else str(file)
        raise SourceError(f"{where}: {what} is not a list of 'key: value'. {_CURE}")
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise SourceError(f"{_at(file, key)}: a key is not text. {_CURE}")
        if key.value in found:
            raise SourceError(f"{_at(file, key)}: {key.value!r} appears twice. Keep one.")
        found[key.value] = value
    return found


def _texts(node: Any, file: Path, key: str) -> tuple[str, ...]:
    """A text or a list of texts; () for a blank value."""
    nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
    found = []
    for one in nodes:
        if not isinstance(one, yaml.ScalarNode):
            raise SourceError(f"{_at(file, one)}: '{key}' is not text or a list of texts. {_CURE}")
        if one.tag != _NULL and one.value.strip():
            found.append(one.value.strip())
    return tuple(found)


def _names(top: Mapping[str, Any], file: Path) -> tuple[str, ...]:
    """The classes by index, from a list or from 'index: name'."""
    node = top.get("names")
    if node is None:
        raise SourceError(f"{file}: no 'names', so the classes have no names. Add them. {_CURE}")
    if isinstance(node, yaml.SequenceNode):
        nodes = dict(enumerate(node.value))
    else:
        nodes = {
            _index(key, value, file): value for key, value in _mapping(node, file, "names").items()
        }
    if not nodes or sorted(nodes) != list(range(len(nodes))):
        gap = next((i for i in range(len(nodes)) if i not in nodes), 0)
        raise SourceError(
            f"{_at(file, node)}: names has no class {gap} of {len(nodes)}. Number them from 0."
        )
    names: dict[str, int] = {}
    for index in range(len(nodes)):
        one = nodes[index]
        if not isinstance(one, yaml.ScalarNode) or not one.value.strip() or one.tag == _NULL:
            raise SourceError(f"{_at(file, one)}: the name of class {index} is not text. {_CURE}")
        name = one.value.strip()
        if name in names:
            raise SourceError(
                f"{_at(file, one)}: classes {names[name]} and {index} are both {name!r}. "
                "Rename one."
            )
        names[name] = index
    _check_count(top.get("nc"), len(names), file)
    return tuple(names)


def _index(key: str, node: Any, file: Path) -> int:
    if not (key.isascii() and key.isdigit() and len(key) < 10):
        raise SourceError(f"{_at(file, node)}: names: {key!r} is not the index of a class.")
    return int(key)


def _check_count(node: Any, names: int, file: Path) -> None:
    if node is not None and getattr(node, "value", None) != str(names):
        raise SourceError(
            f"{_at(file, node)}: nc is {getattr(node, 'value', None)!r}, but there are {names} "
            "names. Correct one."
        )


def _keypoints(top: Mapping[str, Any], file: Path) -> int:
    """The numbers per object after its box, from `kpt_shape: [points, numbers per point]`."""
    if "kpt_shape" not in top:
        return 0
    texts = _texts(top["kpt_shape"], file, "kpt_shape")
    if len(texts) != 2 or not all(text.isascii() and text.isdigit() for text in texts):
        raise SourceError(f"{_at(file, top['kpt_shape'])}: kpt_shape is not two numbers. {_CURE}")
    return int(texts[0][:6]) * int(texts[1][:6])
