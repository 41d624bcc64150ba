"""The rank of this process among those that torchrun starts for one training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vocscore.errors import TrainError

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLES = ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Set by torchrun, besides WORLD_SIZE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """This process among the processes of the same training.

    Attributes:
        rank: from 0; the first one writes, prints and decides.
        size: number of processes.
        local_rank: from 0, on this machine.
        local_size: processes on this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0


ALONE = Ranks()


def read_ranks(environment: Mapping[str, str]) -> Ranks:
    """Read the variables that torchrun sets for each process.

    Args:
        environment: of the process; for the command line only.

    Raises:
        TrainError: there are several processes, but a variable is missing.
    """
    size = environment.get("WORLD_SIZE", "1")
    if size == "1":
        return ALONE
    missing = [name for name in _VARIABLES if name not in environment]
    if missing:
        raise TrainError(
            f"WORLD_SIZE is {size} but {missing[0]} is not set. Start several processes with "
            f"torchrun, or unset WORLD_SIZE."
        )
    rank, local_rank, local_size = (int(environment[name]) for name in _VARIABLES[:3])
    return Ranks(rank=rank, size=int(size), local_rank=local_rank, local_size=local_size)
