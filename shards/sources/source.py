"""What a source of labels is: a name, how a folder shows that it is one, and a reader."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from shards.errors import SourceError
from shards.files import open_binary
from shards.paths import first_names, is_image, shown
from shards.sources.folders import files_below
from shards.sources.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from shards.sample import AnnotatedSet

HEAD_BYTES: Final = 64 << 10
"""Leading bytes of a file that are looked at to recognize it."""


class Tree:
    """A folder and the files below it, listed once for all sources.

    Attributes:
        root: the folder.
        odd: the paths of links to nothing, pipes and the like; filled when `files` are listed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.odd: list[str] = []
        self._unlisted: list[str] = []

    @cached_property
    def files(self) -> list[str]:
        """The files, as `files_below` lists them; folders that cannot be listed are left out.

        For recognition only: another source may not need such a folder. To read, use `all_files`.
        """
        return files_below(self.root, unlisted=self._unlisted, odd=self.odd)

    def all_files(self) -> list[str]:
        """The files, as `files_below` lists them.

        Raises:
            SourceError: a folder cannot be listed.
        """
        files = self.files
        if self._unlisted:
            raise SourceError(self._unlisted[0])
        return files

    @cached_property
    def images(self) -> list[str]:
        """Those of `files` that are images by their names."""
        return [name for name in self.files if is_image(name.rpartition("/")[2])]

    @cached_property
    def others(self) -> list[str]:
        """Those of `files` that are not images by their names."""
        images = set(self.images)
        return [name for name in self.files if name not in images]

    def without(self, found: AnnotatedSet, why: str) -> AnnotatedSet:
        """The set, with a note that counts the images of the folder that are not in it.

        Args:
            found: what was read.
            why: completes 'ignored, ': 'not named in photos.csv'.
        """
        named = {one.path for one in found.samples} | {one.path for one in found.rejected}
        others = [name for name in self.images if name not in named]
        if not others:
            return found
        note = f"ignored, {why}: {counted(len(others), 'image')}; first: {shown(others[0])}"
        return replace(found, notes=(*found.notes, note))

    def named(self, *names: str) -> list[str]:
        """The files with one of these names (lower case) in any folder, ignoring case."""
        return [name for name in self.others if name.rpartition("/")[2].lower() in names]

    def ending(self, *suffixes: str) -> list[str]:
        """The files, images excepted, whose names end so (lower case), ignoring case."""
        return [name for name in self.others if name.lower().endswith(suffixes)]

    def at_top(self, *suffixes: str) -> list[str]:
        """Those of `ending` that are directly in the folder."""
        return [name for name in self.ending(*suffixes) if "/" not in name]

    def only(self, files: Sequence[str], *, several: str, none: str, suffix: str) -> Path:
        """The file of labels, if there is one.

        Args:
            files: the files that may be it.
            several: what several of them are, for the message.
            none: what there is none of, for the message.
            suffix: of such a file.

        Raises:
            SourceError: there is none, or there are several; says how to name it.
        """
        if len(files) == 1:
            return self.root / files[0]
        there = f"several {several} ({first_names(files)})" if files else f"no {none}"
        raise SourceError(f"{self.root}: {there}. Name the one to read: `labels=FILE`{suffix}.")

    def head(self, name: str, size: int = HEAD_BYTES) -> bytes:
        """The first bytes of a file; b'' if it cannot be read."""
        try:
            with open_binary(self.root / name) as file:
                return file.read(size)
        except (OSError, ValueError):  # reading the set will say why
            return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user says about the labels, besides the folder.

    Attributes:
        labels: the file of the labels, or None: the source looks for it in the folder.
        coco: COCO files, each with its split or None; () if there are none.
        separator: separator of the names in a cell; None detects it.
        columns: columns or fields with the labels; () finds them.
    """

    labels: Path | None = None
    coco: tuple[tuple[Path, str | None], ...] = ()
    separator: str | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One kind of source.

    Attributes:
        name: as `--from` takes it.
        looks_like: why a folder looks like one ('data.yaml'), in a few words; None if it does
            not. Cheap, reads only the beginnings of files, and raises nothing.
        read: reads the labels of a folder.
        weak: whether only little speaks for it, as for any folder with a table or with
            subfolders. Weak sources are considered only if no other looks right.
    """

    name: str
    looks_like: Callable[[Tree], str | None]
    read: Callable[[Tree, Request], AnnotatedSet]
    weak: bool = False
