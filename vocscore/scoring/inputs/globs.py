"""Selects images by patterns of their paths."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Globs:
    """The patterns of `include` and `exclude`.

    A pattern matches the whole path as written in the output, and is case-sensitive: `*` and `?`
    also match '/', `[ab]` is one of these characters. So '*.png' is every PNG at any depth, and
    'cats/*' is everything below the folder cats.

    Attributes:
        include: an image has to match one of these; () includes all.
        exclude: images that match one of these are left out, even if they match `include`.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any pattern."""
        return bool(self.include or self.exclude)

    def __str__(self) -> str:
        """Return them as keywords of the API's functions."""
        lists = {"include": self.include, "exclude": self.exclude}
        return f"`{', '.join(f'{name}={list(globs)!r}' for name, globs in lists.items() if globs)}`"

    def keeps(self, path: str) -> bool:
        """Whether an image is an input."""
        included = not self.include or _matches(self.include, path)
        return included and not self.drops(path)

    def drops(self, path: str) -> bool:
        """Whether an exclusion matches; a tar that matches one is left out as a whole."""
        return bool(self.exclude) and _matches(self.exclude, path)


EVERYTHING = Globs()


def _matches(globs: tuple[str, ...], path: str) -> bool:
    return _compiled(globs).match(path) is not None


@lru_cache(maxsize=16)
def _compiled(globs: tuple[str, ...]) -> re.Pattern[str]:
    """Compile all patterns into one expression, which matches a million paths per second."""
    return re.compile("|".join(fnmatch.translate(glob) for glob in globs))
