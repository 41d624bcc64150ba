"""The options of `vocscore view`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from vocscore.config.option import Group, option


@dataclass(frozen=True, kw_only=True)
class SubjectConfig(Group):
    """Where the labels and the images of predictions are."""

    title: ClassVar[str] = "Data"

    labels: Path | None = option(
        None,
        help="Packed shards with the labels of the images.",
        metavar="SHARDS",
        unset="those that the model was trained from, if they have the images",
    )
    images: Path | None = option(
        None,
        help="The images: a folder, packed shards, other tars, or a list.",
        metavar="FOLDER|SHARDS",
        unset="what was scored, else the labels' shards",
    )


@dataclass(frozen=True, kw_only=True)
class ServerConfig(Group):
    """How the page is served."""

    title: ClassVar[str] = "Server"

    host: str = option(
        "127.0.0.1",
        help="Interface to listen on. The default is reachable from this machine only; with any "
        "other one, everybody who has the address sees the images and predictions, unencrypted.",
        metavar="HOST",
    )
    port: int | None = option(
        None,
        help="Port to listen on.",
        metavar="PORT",
        unset="the first free one from 8765 on",
        minimum=1,
        maximum=65535,
    )
    open: bool = option(
        True, help="Open the page in the browser of this machine, if there is a display."
    )


@dataclass(frozen=True, kw_only=True)
class ViewConfig:
    """All settings of the page."""

    data: SubjectConfig = field(default_factory=SubjectConfig)
    server: ServerConfig = field(default_factory=ServerConfig)
