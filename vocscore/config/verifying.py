"""The options of `vocscore verify`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from vocscore.config.compute import max_pixels_option
from vocscore.config.option import Group, option


@dataclass(frozen=True, kw_only=True)
class ChecksConfig(Group):
    """What is checked besides hashes, indexes, counts and labels."""

    title: ClassVar[str] = "Checks"

    decode: bool = option(False, help="Decode every image, too.")


@dataclass(frozen=True, kw_only=True)
class DuplicatesConfig(Group):
    """How near duplicates are found."""

    title: ClassVar[str] = "Near duplicates"

    duplicates: bool = option(
        False,
        help="List images that look alike, across splits first: copies that were resized, "
        "recompressed or slightly cropped. An image in two splits makes every figure better than "
        "it is. They do not change the exit code.",
    )
    distance: int = option(
        6,
        help="Two images are near duplicates if their perceptual hashes differ in at most this "
        "many of 64 bits. 0: only equal hashes.",
        metavar="BITS",
        minimum=0,
        maximum=16,
    )
    max_pixels: int = max_pixels_option("is not compared with {duplicates}")


@dataclass(frozen=True, kw_only=True)
class VerifyConfig:
    """All settings of verification, except the set."""

    checks: ChecksConfig = field(default_factory=ChecksConfig)
    duplicates: DuplicatesConfig = field(default_factory=DuplicatesConfig)
