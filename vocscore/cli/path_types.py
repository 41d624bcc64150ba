"""Types of path options and arguments; their errors are one line, with the remedy."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import click
from tqdm import tqdm

from shards.errors import Error
from shards.remote.places import is_remote, redacted
from vocscore.cli.common import KnownError
from vocscore.cli.help import Later
from vocscore.cli.typed_options import echo
from vocscore.errors import ScoreError
from vocscore.scoring.inputs.urls import refuse_nameless_url, refuse_url
from vocscore.scoring.output.mirrored import is_written, mirrored
from vocscore.scoring.output.work_folder import named

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.shell_completion import CompletionItem

    from vocscore.local_folders import Told

    class Fetched(Protocol):
        """Returns the local copy of what a URL names."""

        def __call__(self, place: str, *, told: Told) -> Path:
            """Fetch it, unless it is there."""


STANDARD_OUTPUT = Path("-")
"""The value of an option that is '-'. Compare with 'is': './-' is an equal path."""


class PathType(click.Path):
    """A path to an existing file or folder, or to a new one.

    Args:
        takes: what the option expects, for messages: the words after 'takes'.
        exists: whether it must exist.
        folder: whether an existing path must be a folder (True) or a file (False); None: either.
        hint: returns advice for a wrong path, or ''.
        written: whether it is an output; None: if it need not exist.
        fetched: returns the local copy of a URL; None: URLs are refused.
        uploaded: whether it may be an output on object storage.
        beside: whether files beside it belong to it, which are called after it.
    """

    def __init__(
        self,
        takes: str,
        *,
        exists: bool,
        folder: bool | None,
        hint: Callable[[Path], str] = lambda _path: "",
        written: bool | None = None,
        fetched: Fetched | None = None,
        uploaded: bool = False,
        beside: bool = False,
    ) -> None:
        super().__init__(
            exists=exists,
            file_okay=folder is not True,
            dir_okay=folder is not False,
            path_type=Path,
        )
        self._takes = takes
        self._folder = folder
        self._hint = hint
        self._written = not exists if written is None else written
        self._fetched = fetched
        self._uploaded = uploaded
        self._beside = beside

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: Any
    ) -> Path:
        """Return the path; of what is to be fetched, a `ToFetch`, which the command replaces.

        Raises:
            KnownError: it is not what the option expects.
        """
        del ctx  # a usage line would not help
        text = os.fspath(value)
        label = _label(param)
        if not text:
            raise KnownError(f"{label} '': an empty path. {label} takes {self._takes}.")
        refuse_nameless_url(text)
        if self._fetched is not None and is_remote(text):
            return cast("Path", ToFetch(text, self._fetched))
        if self._uploaded and is_written(text):
            return mirrored(text)
        refuse_typed_url(text, written=self._written)
        path = Path(text)
        wrong = self._wrong(path)
        if wrong:
            more = self._hint(path)
            raise KnownError(
                f"{label} {text}: {wrong}. {label} takes {self._takes}.{f' {more}' if more else ''}"
            )
        return named(path) if self._beside else path

    def _wrong(self, path: Path) -> str:
        """Return what is wrong with a path; '' if nothing is."""
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            return self._missing() if self.exists else ""
        except OSError as error:
            return _why_not_there(path, error)
        if self._folder is True and not stat.S_ISDIR(mode):
            return "a file, not a folder" if stat.S_ISREG(mode) else "not a folder"
        if self._folder is False and stat.S_ISDIR(mode):
            return "a folder, not a file"
        if self.exists and not os.access(path, os.R_OK):
            return "cannot be read (permission denied)"
        return ""

    def _missing(self) -> str:
        kind = {True: "folder", False: "file", None: "file or folder"}[self._folder]
        return f"no such {kind}"


class RowsType(PathType):
    """A path for rows, or '-' for standard output (`STANDARD_OUTPUT`; './-' is a file)."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: Any
    ) -> Path:
        """Return the path.

        Raises:
            KnownError: it is not what the option expects.
        """
        return STANDARD_OUTPUT if value == "-" else super().convert(value, param, ctx)


class SourceType(click.ParamType):  # type: ignore[type-arg]
    """The source to score as typed: a path, a URL, or '-' for standard input."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text.

        Raises:
            KnownError: it is a URL that is not read. Checked here, because `Path` removes one of
                its slashes.
        """
        del param, ctx
        text = str(value)
        refuse_nameless_url(text)
        if not is_remote(text):
            refuse_typed_url(text, written=False)
        return text

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Let the shell complete a path."""
        del ctx, param
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


@dataclass(frozen=True)
class ToFetch(Later):
    """A URL that is fetched when no error was found in the rest of the command line.

    Attributes:
        url: as typed.
        fetched: fetches it.
    """

    url: str
    fetched: Fetched

    def get(self) -> Path:
        """Fetch it.

        Raises:
            KnownError: it cannot be fetched.
        """
        return fetch_typed(self.url, self.fetched)


def fetch_typed(url: str, fetched: Fetched) -> Path:
    """Fetch a folder from object storage into the cache, unless it is there.

    Raises:
        KnownError: it cannot be fetched.
    """
    bar: list[tqdm[Any]] = []

    def told(done: int, whole: int) -> None:
        if not bar:
            echo(f"fetching {redacted(url)} ({whole / 1e6:,.1f} MB)", err=True)
            bar.append(tqdm(total=whole, unit="B", unit_scale=True, leave=False, disable=None))
        bar[0].update(done - bar[0].n)

    try:
        return fetched(url, told=told)
    except Error as error:
        raise KnownError(str(error)) from error
    finally:
        for one in bar:
            one.close()


def refuse_typed_url(text: str, *, written: bool) -> None:
    """Refuse a URL, shown as it was typed.

    Raises:
        KnownError: it is a URL.
    """
    try:
        refuse_url(text, written=written)
    except ScoreError as error:
        raise KnownError(str(error)) from error


def _label(param: click.Parameter | None) -> str:
    """Return the name of the option or argument for the user."""
    if param is None:
        return "the path"
    if isinstance(param, click.Argument):
        return param.metavar or str(param.name).upper()
    return param.opts[0]


def _why_not_there(path: Path, error: OSError) -> str:
    """Return why a path cannot be reached, such as a file in place of one of its folders."""
    file = next((above for above in path.parents if above.is_file()), None)
    if isinstance(error, NotADirectoryError) and file is not None:
        return f"{file} is a file, not a folder"
    return str(error.strerror).lower()
