"""`--devices`: where the units of `vocscore score` run when one device is not enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vocscore.config import ScoreConfig

if TYPE_CHECKING:
    from collections.abc import Sequence


def _split(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Names with commas between; an empty one is refused, or it would be taken for a device."""
    names = tuple(name.strip() for name in value.split(",")) if value else ScoreConfig.devices
    if not all(names):
        raise click.BadParameter(f"{value!r} is no list of devices; write 0,1 or cpu,cpu.")
    return names


devices_option = click.option(
    "--devices",
    callback=_split,
    metavar="DEVICE,DEVICE,...",
    help="Work on several devices at once, each in a process of its own: GPU numbers ('0,1,2,3'), "
    "or 'cpu,cpu' for two processes on the CPU, which pays on machines with many cores. The "
    "threads of --workers and the cores are divided among them; the output is the same for any "
    "number, and an interrupted run may go on with another one. A process that dies is replaced, "
    "and what it had is scored again. In place of --device.",
)


def refuse_both(device: str, devices: Sequence[str]) -> None:
    """Raise where both options name a device.

    Raises:
        click.UsageError: they do.
    """
    if devices and device != "auto":
        raise click.UsageError(
            f"--device {device} and --devices {','.join(devices)}: one says where all the work "
            "runs, the other where its units run. Give one of them."
        )
