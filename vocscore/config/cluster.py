"""The options of scoring on a cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from vocscore.config.option import Group, option
from vocscore.errors import OptionError

_ADDRESS: Final = re.compile(r"(ray://)?[^\s/]+:\d+")


def address_option(about: str) -> Any:
    """Declare the option that names a Ray cluster."""
    return option(None, help=about, metavar="ray|ADDRESS", unset="this machine, without Ray")


def cores_option() -> Any:
    """Declare the option of the cores of each process."""
    return option(
        None,
        help="CPU cores of each process on the cluster, which are also its {workers}.",
        metavar="CORES",
        unset="the cores of the smallest machine, shared by its processes",
        minimum=1,
    )


@dataclass(frozen=True, kw_only=True)
class ClusterConfig(Group):
    """Which machines score, and how many processes on them."""

    title: ClassVar[str] = "Cluster"

    on: str | None = address_option(
        "Score on a Ray cluster. ray: the one whose address is in RAY_ADDRESS, else one of "
        "this machine alone, which ends with the command. HOST:PORT (of the head node, usually "
        "port 6379): from a machine of the cluster. ray://HOST:PORT (usually port 10001): from "
        "elsewhere, by Ray's client. Every machine must see SRC and RUN under the same paths, and "
        "have the same versions of vocscore, Ray and Python. This process alone writes the output; "
        "its bytes are those of one process on such a machine."
    )
    processes: int | None = option(
        None,
        help="Processes on the cluster. Scoring begins when the first of them is ready; the others "
        "join when there is room, for example when the cluster's autoscaler has added machines. A "
        "process that dies, or whose machine is lost, is replaced. {workers} are threads of each.",
        metavar="N",
        unset="one per GPU, or as many as the machines that are there have room for",
        minimum=1,
    )
    cpus_per_process: int | None = cores_option()
    gpus_per_process: float | None = option(
        None,
        help="GPUs of each process on the cluster: 0, 1, or a fraction for several processes on "
        "one GPU.",
        metavar="GPUS",
        unset="1 if the cluster has any, else 0",
        minimum=0,
        maximum=1,
    )
    mixed_machines: bool = option(
        False,
        help="Also use machines of another kind than the first: another processor or GPU, or other "
        "versions of Python, torch, OpenVINO or cuDNN. The last bits of a row then depend on which "
        "machine scored it. With {units}, all jobs have to be given it.",
    )

    def __post_init__(self) -> None:
        """Check the values, and refuse options of a cluster without one."""
        super().__post_init__()
        if self.on is not None:
            check_address(self.on)
            return
        for name in ("processes", "cpus_per_process", "gpus_per_process"):
            if getattr(self, name) is not None:
                raise OptionError(f"`{name}` needs `on`. Add it.")


def check_address(on: str) -> None:
    """Raise an OptionError if this is not a place of a Ray cluster."""
    if on != "ray" and not _ADDRESS.fullmatch(on):
        raise OptionError(f"`on={on!r}`: name 'ray', HOST:PORT or ray://HOST:PORT.")
