"""Checks a packed set, and finds images in it that look alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shards.errors import DamageError
from shards.paths import shown
from vocscore.config.verifying import VerifyConfig
from vocscore.machine import usable_cores
from vocscore.printed import Printed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from shards.duplicates import DuplicatePair, Duplicates

_LISTED = 20
"""Number of pairs that the text shows, of those across splits and of the others."""


@dataclass(frozen=True)
class VerifyReport(Printed):
    """The result of a verification.

    Attributes:
        problems: one line per problem, naming shard and sample; empty for an intact set.
        duplicates: images that look alike; None if they were not asked for, or if the set is too
            damaged to be read.
    """

    problems: tuple[str, ...]
    duplicates: Duplicates | None

    def __str__(self) -> str:
        """List the problems, then the near duplicates."""
        lines = list(self.problems) or ["no problems found"]
        if self.duplicates is not None:
            lines += duplicates_text(self.duplicates)
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """All of it, as plain values for JSON."""
        return {"problems": list(self.problems), "duplicates": _plain(self.duplicates)}


def verify(
    shards: Path,
    config: VerifyConfig | None = None,
    *,
    on_stage: Callable[[str], None] = lambda _name: None,
    progress: Callable[[int, int, int], None] | None = None,
) -> VerifyReport:
    """Check hashes, indexes, counts and labels of a packed set; find near duplicates if asked to.

    Args:
        shards: the set.
        config: the options.
        on_stage: called with the name of each stage as it starts.
        progress: called with the images done, the total, and the problems so far.
    """
    from shards.duplicates import find_duplicates
    from shards.verify import verify as find_problems

    config = config or VerifyConfig()
    workers = usable_cores()
    on_stage("checking")
    problems = find_problems(
        shards, decode=config.checks.decode, workers=workers, progress=progress
    )
    if not config.duplicates.duplicates:
        return VerifyReport(tuple(problems), None)
    try:
        found = find_duplicates(
            shards,
            distance=config.duplicates.distance,
            max_pixels=config.duplicates.max_pixels,
            workers=workers,
            on_stage=on_stage,
            progress=progress or (lambda _done, _total, _bad: None),
        )
    except DamageError as error:
        problems.append(f"near duplicates were not searched: {error}")
        return VerifyReport(tuple(problems), None)
    return VerifyReport(tuple(problems), found)


def duplicates_text(found: Duplicates) -> list[str]:
    """Summarize near duplicates in lines: counts, then the first pairs."""
    across = found.leaks
    within = found.pairs[len(across) :]
    lines = [f"images compared: {_compared(found)}"]
    lines += [
        f"{name}: {found.leaked[name]} of {images} images have a near duplicate in another split"
        for name, images in found.images.items()
        if len(found.images) > 1
    ]
    for title, pairs in (("across splits", across), ("within a split", within)):
        lines.append(f"near duplicates {title}: {_counts(pairs)}")
        lines += [f"  {_line(pair)}" for pair in pairs[:_LISTED]]
        if len(pairs) > _LISTED:
            lines.append(f"  and {len(pairs) - _LISTED} more")
    return lines


def _compared(found: Duplicates) -> str:
    text = str(sum(found.images.values()))
    without = (("of one color", len(found.flat)), ("unreadable", len(found.unreadable)))
    left = [f"{count} {why}" for why, count in without if count]
    text += f" ({', '.join(left)}: by their bytes only)" if left else ""
    return text + "".join(
        f"\n  unreadable: {shown(bad.path)}: {bad.fault}" for bad in found.unreadable[:_LISTED]
    )


def _counts(pairs: Sequence[DuplicatePair]) -> str:
    exact = sum(pair.exact for pair in pairs)
    differ = sum(bool(pair.labels_differ) for pair in pairs)
    return f"{len(pairs)} pairs ({exact} exact copies, {differ} with different labels)"


def _line(pair: DuplicatePair) -> str:
    apart = "exact copy" if pair.exact else f"{pair.distance} bits apart"
    text = f"{pair.split} {shown(pair.path)}, {pair.other_split} {shown(pair.other_path)}: {apart}"
    names = ", ".join(map(shown, pair.labels_differ))
    return f"{text}; labels differ: {names}" if names else text


def _plain(found: Duplicates | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "distance": found.distance,
        "images": dict(found.images),
        "images_with_duplicate_in_another_split": dict(found.leaked),
        "pairs": [
            {
                "path": pair.path,
                "split": pair.split,
                "other_path": pair.other_path,
                "other_split": pair.other_split,
                "distance": pair.distance,
                "exact": pair.exact,
                "labels_differ": list(pair.labels_differ),
            }
            for pair in found.pairs
        ],
        "flat": list(found.flat),
        "unreadable": [
            {"path": bad.path, "reason": str(bad.fault.reason), "detail": bad.fault.detail}
            for bad in found.unreadable
        ],
    }
