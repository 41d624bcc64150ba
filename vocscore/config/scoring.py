"""The options of `vocscore score`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from vocscore.config.cluster import ClusterConfig
from vocscore.config.compute import ComputeConfig, DecodeConfig
from vocscore.config.jobs import JobsConfig
from vocscore.config.option import Group, option
from vocscore.config.tta import Tta, parse_tta
from vocscore.errors import OptionError

CEILINGS_AFTER: Final = 20.0
"""Duration of a run in seconds from which its ceilings are measured by default."""
FEATURES_SUFFIXES: Final = (".npy", ".parquet")
"""Suffixes of files of features."""


@dataclass(frozen=True, kw_only=True)
class InferenceConfig(ComputeConfig):
    """The devices and the arithmetic of a trained network."""

    precision: str = option(
        "auto",
        help="The network's arithmetic. auto: bf16 if the device supports it and training has "
        "measured that probabilities change by at most 0.02, else float32; or int8, for many "
        "images on a CPU, if it is as close and faster here. int8: the fastest on a CPU; needs the "
        "model that 'vocscore quantize RUN' (or {quantize} in training) writes.",
        choices=("auto", "float32", "bf16", "int8"),
    )
    devices: tuple[str, ...] = option(
        (),
        help="Use several devices in parallel, each in its own process: GPU numbers ('0,1,2,3'), "
        "or 'cpu,cpu' for two processes on the CPU, which pays on machines with many cores; "
        "without {device}, {workers} and this, 'vocscore score' finds out how many pay. "
        "The threads of {workers} and the cores are divided among them; the output is the same for "
        "any number, and an interrupted run may be resumed with another number. A process that "
        "dies is restarted, and its units are scored again. Replaces {device}.",
        metavar="DEVICE,DEVICE,...",
    )
    tta: str | None = option(
        None,
        help="Test-time augmentation: score several views of every image, and average their "
        "logits. flip: the image and its mirror image. size=448: also resized to 448 pixels. "
        "'flip,size=448': both sizes, both ways. Each view costs a forward pass.",
        metavar="flip[,size=PIXELS]",
        unset="one view",
    )

    def __post_init__(self) -> None:
        """Check the values, and that only one option names devices."""
        super().__post_init__()
        if self.views is not None:
            object.__setattr__(self, "tta", str(self.views))
            if self.views.size is not None and self.precision == "int8":
                raise OptionError(
                    f"`tta={self.tta!r}`: an int8 model was calibrated and checked for one size "
                    "only. Use another `precision`, or only flip."
                )
        if self.devices and self.device != "auto":
            raise OptionError(
                f"`device={self.device!r}` and `devices={','.join(self.devices)!r}`: both name "
                "devices. Give only one of them."
            )

    @property
    def views(self) -> Tta | None:
        """The views that `tta` names; None: one."""
        return None if self.tta is None else parse_tta(self.tta)


@dataclass(frozen=True, kw_only=True)
class InputsConfig(Group):
    """Which images of the source are scored, and in which units."""

    title: ClassVar[str] = "Inputs"

    include: tuple[str, ...] = option(
        (),
        help="Score only images whose whole path, as in the output (in a tar: TAR/MEMBER, in "
        "packed shards the path before packing), matches; case-sensitive, '*' also matches '/': "
        "'*.png', 'cats/*'. May be repeated: one has to match.",
        metavar="GLOB",
        unset="all",
    )
    exclude: tuple[str, ...] = option(
        (),
        help="Leave out images that match, even if included; may be repeated. A tar whose own path "
        "matches is left out as a whole.",
        metavar="GLOB",
    )
    unit_size: int = option(
        2048,
        help="Files that are scored and committed together; a tar is always one unit.",
        metavar="FILES",
        minimum=1,
    )


@dataclass(frozen=True, kw_only=True)
class LimitsConfig(Group):
    """How bad inputs are handled, in addition to their error rows."""

    title: ClassVar[str] = "Bad inputs"

    max_bad: float | None = option(
        None,
        help="Stop with exit code 3 if more than this share of the inputs so far is bad; checked "
        "after every unit from 1,000 inputs on, and at the end. Finished units are kept: rerun the "
        "command with a higher FRACTION to resume.",
        metavar="FRACTION",
        unset="never",
        minimum=0,
        maximum=1,
    )
    quarantine: Path | None = option(
        None,
        help="Copy every bad input to DIR (outside SRC), with its relative path, and write "
        "DIR/quarantine.csv: path, reason, detail, copy. May be added when a stopped run is "
        "resumed.",
        metavar="DIR",
    )


@dataclass(frozen=True, kw_only=True)
class UpdateConfig(Group):
    """Which rows of an existing output stay."""

    title: ClassVar[str] = "Update"

    update: bool = option(
        False,
        help="If FILE is there, score only images that are new or changed (by size and "
        "modification time) or that had an error; other rows keep their bytes, and rows of images "
        "that are gone are dropped. Model and settings must be the same. For folders and lists of "
        "images. With {overwrite}, an unfinished update with other inputs is discarded.",
    )
    update_by: str = option(
        "size",
        help="What tells whether an image has changed. size: its size and modification time. "
        "hash: its bytes, all of which are then read; their hashes are kept for the next update, "
        "and images without one are compared by size and time.",
        choices=("size", "hash"),
    )
    keep_removed: bool = option(
        False,
        help="Keep the rows of images that are gone, unless they are errors.",
    )

    def __post_init__(self) -> None:
        """Check the values, and refuse options of an update without one."""
        super().__post_init__()
        if not self.update and (self.update_by != "size" or self.keep_removed):
            raise OptionError("`update_by` and `keep_removed` need `update`. Add it.")

    def plan(self) -> dict[str, str]:
        """What an update adds to the plan of a first run: nothing, unless hashes are kept."""
        return {"by": self.update_by} if self.update_by != "size" else {}


@dataclass(frozen=True, kw_only=True)
class OutputConfig(Group):
    """How predictions and the summary are written."""

    title: ClassVar[str] = "Output"

    format: str | None = option(
        None,
        help="Write a folder of parts, one file per unit, which DuckDB, pandas, Polars and Spark "
        "read as one table. For standard output, the format of the rows: csv or jsonl.",
        unset="one file; standard output: csv",
        choices=("csv", "parquet", "jsonl"),
    )
    columns: str = option(
        "all",
        help="The columns in addition to path, status and error: the probabilities of the classes, "
        "the labels (classes at or above the model's threshold), or both.",
        choices=("all", "probabilities", "labels"),
    )
    top_k: int | None = option(
        None,
        help="Write only the K largest probabilities per image: in CSV as columns label_1, "
        "probability_1, ..., the largest first, instead of one per class; elsewhere the others are "
        "nulls or missing keys. The column labels is not affected.",
        metavar="K",
        unset="all",
        minimum=1,
    )
    min_probability: float = option(
        0.0,
        help="Write only probabilities at or above this one. Labels are not affected.",
        metavar="PROBABILITY",
        minimum=0,
        maximum=1,
    )
    decimals: int | None = option(
        None,
        help="Round the probabilities to N decimals. Labels, and what {top_k} and "
        "{min_probability} select, are decided before.",
        metavar="N",
        unset="exact",
        minimum=1,
        maximum=9,
    )
    thresholds_file: Path | None = option(
        None,
        help="Decide the labels with these thresholds instead of the model's: a JSON file, class "
        "to probability, as 'vocscore view' saves it. A class that is not in it keeps the model's.",
        metavar="FILE.json",
        unset="the model's",
    )
    features: Path | None = option(
        None,
        help="Also write the features of the model's backbone, one row per row of the predictions, "
        "in their order: FILE.npy, an array (rows, features) with NaN for errors, or "
        "FILE.parquet with the columns path and features, null for errors.",
        metavar="FILE",
        unset="none",
    )
    features_dtype: str = option(
        "float32",
        help="The type of the features. float16 takes half the space, and keeps 3 digits.",
        choices=("float32", "float16"),
    )
    overwrite: bool = option(False, help="Replace FILE and discard an unfinished run.")
    ceilings: bool | None = option(
        None,
        help="Measure at the end, for some seconds, how fast this machine reads, decodes and "
        "computes, each alone, and print which of them is the bottleneck.",
        unset=f"after runs of at least {CEILINGS_AFTER:g} s",
    )

    def __post_init__(self) -> None:
        """Check the values, and refuse a selection of probabilities that are not written."""
        super().__post_init__()
        if self.features is not None and self.features.suffix.lower() not in FEATURES_SUFFIXES:
            raise OptionError(
                f"`features={str(self.features)!r}`: name a file that ends in .npy or .parquet."
            )
        if self.features_dtype != "float32" and self.features is None:
            raise OptionError("`features_dtype` needs `features`. Name a file.")
        given = self.top_k is not None or self.min_probability > 0 or self.decimals is not None
        if self.columns == "labels" and given:
            raise OptionError(
                "`top_k`, `min_probability` and `decimals` apply to probabilities, but "
                "`columns='labels'` writes none. Omit one or the other."
            )


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """All settings of scoring, except its source, its model and its output."""

    inputs: InputsConfig = field(default_factory=InputsConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    update: UpdateConfig = field(default_factory=UpdateConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    decode: DecodeConfig = field(default_factory=DecodeConfig)
    compute: InferenceConfig = field(default_factory=InferenceConfig)
    jobs: JobsConfig = field(default_factory=JobsConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)

    def __post_init__(self) -> None:
        """Refuse options that name this machine's devices or its share together with a cluster."""
        compute = self.compute
        if self.cluster.on is None:
            if self.cluster.mixed_machines and self.jobs.units is None:
                raise OptionError("`mixed_machines` needs `on` or `units`. Add one of them.")
            return
        if self.jobs.units is not None:
            raise OptionError(
                f"`units={self.jobs.units!r}` and `on`: jobs share the work without a cluster. "
                "Omit one."
            )
        if compute.devices:
            raise OptionError("`devices` and `on`: a cluster has its own. Use `processes`.")
        if compute.device.startswith("cuda:"):
            raise OptionError(
                f"`device={compute.device!r}`: on a cluster, Ray chooses the GPU. Use "
                "`device='cuda'`."
            )
