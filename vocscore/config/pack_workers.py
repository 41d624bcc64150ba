"""The options of `vocscore pack` about several processes and machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vocscore.config.cluster import address_option, check_address, cores_option
from vocscore.config.option import Group, option
from vocscore.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class PackWorkersConfig(Group):
    """The processes that pack, and the machines on which they run."""

    title: ClassVar[str] = "Processes"

    processes: int | None = option(
        None,
        help="Pack in this many processes, of this machine or with {on} of a cluster: images are "
        "checked in units, then each shard is written by one of them. The bytes are those of one "
        "process, also if this number changes when a killed run is resumed.",
        metavar="N",
        unset="this process alone; on a cluster, one per machine",
        minimum=1,
    )
    on: str | None = address_option(
        "Pack on a Ray cluster, named as for score. Every machine must see SRC and SHARDS "
        "under the same paths, and have the same versions of vocscore, Ray and Python."
    )
    cpus_per_process: int | None = cores_option()
    mixed_machines: bool = option(
        False,
        help="Also use machines of the cluster that have other versions of the image libraries. "
        "Which images are rejected, and the bytes of {resize}, may then depend on the machine.",
    )

    def __post_init__(self) -> None:
        """Check the values, and refuse options of a cluster without one."""
        super().__post_init__()
        if self.on is not None:
            check_address(self.on)
            return
        for name in ("cpus_per_process", "mixed_machines"):
            if getattr(self, name):
                raise OptionError(f"`{name}` needs `on`. Add it.")
