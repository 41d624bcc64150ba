"""The options of `vocscore score`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from vocscore.config.compute import ComputeConfig, DecodeConfig
from vocscore.config.option import Group, option
from vocscore.errors import OptionError

CEILINGS_AFTER: Final = 20.0
"""Seconds of a run from which on its ceilings are measured at its end, unless asked otherwise."""


@dataclass(frozen=True, kw_only=True)
class InferenceConfig(ComputeConfig):
    """Where a trained network runs, and in which arithmetic."""

    precision: str = option(
        "auto",
        help="The network's arithmetic. auto: bf16 where this machine computes in it and training "
        "has shown that it keeps the model's probabilities (within 0.02), else float32. int8: the "
        "fastest on a CPU, from what 'vocscore quantize RUN' made and checked.",
        choices=("auto", "float32", "bf16", "int8"),
    )
    devices: tuple[str, ...] = option(
        (),
        help="Work on several devices at once, each in a process of its own: GPU numbers "
        "('0,1,2,3'), or 'cpu,cpu' for two processes on the CPU, which pays on machines with many "
        "cores. The threads of {workers} and the cores are divided among them; the output is the "
        "same for any number, and an interrupted run may be resumed with another one. A process "
        "that dies is replaced, and what it had is scored again. In place of {device}.",
        metavar="DEVICE,DEVICE,...",
    )

    def __post_init__(self) -> None:
        """Check the values, and that the devices are named in one place."""
        super().__post_init__()
        if self.devices and self.device != "auto":
            raise OptionError(
                "{device} {one} and {devices} {several}: one says where all the work runs, the "
                "other where its units run. Give one of them.",
                one=self.device,
                several=",".join(self.devices),
            )


@dataclass(frozen=True, kw_only=True)
class InputsConfig(Group):
    """Which images of the source are scored, and in which units."""

    title: ClassVar[str] = "Inputs"

    include: tuple[str, ...] = option(
        (),
        help="Score only images whose whole path, as it stands in the output (in a tar: "
        "TAR/MEMBER, in packed shards the path before packing), matches; case counts, '*' matches "
        "'/' too: '*.png', 'cats/*'. May be repeated: one has to match.",
        metavar="GLOB",
        unset="all",
    )
    exclude: tuple[str, ...] = option(
        (),
        help="Leave these out, included or not; may be repeated. A tar whose own path matches is "
        "left out whole.",
        metavar="GLOB",
    )
    unit_size: int = option(
        2048,
        help="Files of a folder that are scored and committed together; a tar is one unit.",
        metavar="FILES",
        minimum=1,
    )


@dataclass(frozen=True, kw_only=True)
class LimitsConfig(Group):
    """What is done about bad inputs, beyond their error rows."""

    title: ClassVar[str] = "Bad inputs"

    max_bad: float | None = option(
        None,
        help="Stop with exit code 3 when more than this share of the inputs so far is bad; judged "
        "after every unit from 1,000 inputs on, and at the end. Finished units are kept: the same "
        "command with a higher FRACTION continues.",
        metavar="FRACTION",
        unset="never",
        minimum=0,
        maximum=1,
    )
    quarantine: Path | None = option(
        None,
        help="Copy the bytes of every bad input below DIR (outside SRC), in folders as they were, "
        "with DIR/quarantine.csv: path, reason, detail, copy. May be added when a stopped run is "
        "resumed.",
        metavar="DIR",
    )


@dataclass(frozen=True, kw_only=True)
class OutputConfig(Group):
    """How predictions are written, and what is said of the run."""

    title: ClassVar[str] = "Output"

    format: str | None = option(
        None,
        help="Make a folder of parts, one file per unit, that DuckDB, pandas, Polars and Spark "
        "read as one table.",
        unset="one file",
        choices=("csv", "parquet", "jsonl"),
    )
    columns: str = option(
        "all",
        help="What stands beside path, status and error: the probabilities of the classes, the "
        "labels (classes at or above the model's threshold), or both.",
        choices=("all", "probabilities", "labels"),
    )
    top_k: int | None = option(
        None,
        help="Write only the K largest probabilities of an image; the others are empty cells, "
        "nulls, or keys left out. Labels stay.",
        metavar="K",
        unset="all",
        minimum=1,
    )
    min_probability: float = option(
        0.0,
        help="Write only probabilities from this one on. Labels stay.",
        metavar="PROBABILITY",
        minimum=0,
        maximum=1,
    )
    overwrite: bool = option(False, help="Replace FILE and forget an unfinished run.")
    ceilings: bool | None = option(
        None,
        help="Measure at the end, for some seconds, how fast this machine reads, decodes and "
        "computes, each alone, and say which of them is the bottleneck.",
        unset=f"after runs of {CEILINGS_AFTER:g} s and more",
    )

    def __post_init__(self) -> None:
        """Check the values, and refuse a choice among probabilities that are not written."""
        super().__post_init__()
        if self.columns == "labels" and (self.top_k is not None or self.min_probability > 0):
            raise OptionError(
                "{top_k} and {min_probability} choose among probabilities, and {columns} labels "
                "writes none. Leave out one or the other."
            )


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """Everything about a scoring but its source, its model and its output's name."""

    inputs: InputsConfig = field(default_factory=InputsConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    decode: DecodeConfig = field(default_factory=DecodeConfig)
    compute: InferenceConfig = field(default_factory=InferenceConfig)
