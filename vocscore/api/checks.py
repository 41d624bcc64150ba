"""Checks of what is not an option: paths, groups, and what the functions call back."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from shards.remote.places import is_remote
from vocscore.config.option import Group
from vocscore.errors import OptionError
from vocscore.local_folders import local_folder, local_predictions, local_results, local_run
from vocscore.scoring.inputs.urls import refuse_url
from vocscore.scoring.output.mirrored import is_written, mirrored
from vocscore.scoring.output.work_folder import named


def path_text(name: str, value: Any, *, what: str = "folder") -> str:
    """Return a path as text.

    Args:
        name: of the argument.
        value: of the argument.
        what: it names, for the cure of an empty one.

    Raises:
        OptionError: it is not a path, is empty, or contains a NUL character.
    """
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else value
    if not isinstance(text, str):
        raise OptionError(f"{name} is {shortened(value)}, but must be a path: text or a Path.")
    if not text:
        raise OptionError(f"{name} is empty. Name a {what}.")
    if "\0" in text:
        raise OptionError(
            f"{name} is {text!r}, and no path contains a NUL character. Name a {what}."
        )
    return text


def path(name: str, value: Any, *, what: str = "folder") -> Path:
    """Return a path on the disk.

    Raises:
        OptionError: as for `path_text`.
        ScoreError: it is a URL, and there is no such file.
    """
    text = path_text(name, value, what=what)
    refuse_url(text, written=name == "output")
    return Path(text)


def place(name: str, value: Any, *, what: str = "folder") -> Path:
    """Return the path of an input; a URL's is that of its copy in the cache.

    Raises:
        StorageError: the URL cannot be fetched.
        OptionError: as for `path_text`.
    """
    return local_folder(path_text(name, value, what=what))


def run_place(name: str, value: Any) -> Path:
    """Return the folder of a run; one on object storage is fetched."""
    return local_run(path_text(name, value))


def predictions_place(name: str, value: Any) -> Path:
    """Return the path of predictions; those on object storage are fetched."""
    text = path_text(name, value, what="file")
    return local_predictions(text) if is_remote(text) else named(path(name, text))


def results_place(name: str, value: Any) -> Path:
    """Return the path of anything that vocscore writes; what is on object storage is fetched."""
    text = path_text(name, value, what="file or folder")
    return local_results(text) if is_remote(text) else named(path(name, text))


def output_place(name: str, value: Any) -> Path:
    """Return the path of an output, which may be on object storage.

    Raises:
        OptionError: as for `path_text`.
        ScoreError: it names a bucket, or a place that cannot be written.
    """
    text = path_text(name, value, what="file")
    return mirrored(text) if is_written(text) else named(path(name, text, what="file"))


def refuse_file_as_folder(name: str, folder: Path) -> None:
    """Refuse a folder to write in that is a file, or would be inside one.

    Raises:
        OptionError: it is.
    """
    there = next((one for one in (folder, *folder.parents) if one.exists()), None)
    if there is not None and not there.is_dir():
        raise OptionError(f"{name} {folder}: {there} is not a folder. Name another folder.")


def check_shared(keywords: Mapping[str, Any]) -> None:
    """Check the keywords that several functions have beside their options.

    Raises:
        OptionError: one has the wrong type.
    """
    if "progress" in keywords:
        check_progress(keywords["progress"])
    on_epoch = keywords.get("on_epoch")
    if on_epoch is not None and not callable(on_epoch):
        raise _wrong("on_epoch", on_epoch, "a function, or None")
    recipe = keywords.get("recipe", "")
    if not isinstance(recipe, (str, os.PathLike)):
        raise _wrong("recipe", recipe, "the name of a recipe, or the path of a TOML file")


def check_progress(progress: Any) -> None:
    """Check a `progress`.

    Raises:
        OptionError: it is neither True, False, None nor able to receive progress.
    """
    if progress is None or isinstance(progress, bool):
        return
    parts = (progress, getattr(progress, "stage", None), getattr(progress, "listing", None))
    if inspect.isclass(progress) or not all(map(callable, parts)):
        wanted = "True, False, None, or an object with stage(), listing() and __call__()"
        raise _wrong("progress", progress, wanted)


def groups_in(options: Any) -> tuple[Group, ...]:
    """Return one group, or several, as a tuple.

    Raises:
        OptionError: something is not a group.
    """
    if isinstance(options, Group):
        return (options,)
    several = isinstance(options, Iterable) and not isinstance(options, (str, bytes, type))
    groups = tuple(options) if several else (options,)
    for group in groups:
        if inspect.isclass(group) and issubclass(group, Group):
            raise OptionError(
                f"options: vs.{group.__name__} is a class; make one: vs.{group.__name__}(...)"
            )
        if not isinstance(group, Group):
            raise _wrong("options", group, "a group, such as vs.InferenceConfig(...), or several")
    return groups


def shortened(value: object) -> str:
    """A value as Python shows it, on one line and not too long."""
    line = " ".join(repr(value).split())
    return line if len(line) <= 80 else f"{line[:77]}..."


def _wrong(name: str, value: object, wanted: str) -> OptionError:
    return OptionError(f"{name} is {shortened(value)}, but must be {wanted}.")
