"""The options of `vocscore pack`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from shards.sources.names import NAMES, WITH_COLUMN, WITH_FILE, WITH_SEPARATOR
from vocscore.config.compute import image_memory_option, max_pixels_option
from vocscore.config.model import FITS, INTERPOLATIONS, MAX_SIZE, enlarges, parse_color
from vocscore.config.option import Group, option
from vocscore.config.pack_workers import PackWorkersConfig
from vocscore.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class LabelsConfig(Group):
    """The source of the labels, and the names of the classes."""

    title: ClassVar[str] = "Labels"

    download: str | None = option(
        None,
        help="Download PASCAL VOC of this year from its own site (0.9 and 2 GB), check it, unpack "
        "it into SRC, and pack it; files that are already there are reused. Without SRC, the "
        "folder is SHARDS-download.",
        choices=("2007", "2012"),
    )
    from_: str | None = option(
        None,
        help="What SRC is: voc, coco, table, folders (one per class), hf (Hugging Face), google "
        "(import CSV), roboflow (_classes.csv), yolo, labelstudio, cvat, webdataset.",
        metavar="SOURCE",
        choices=NAMES,
        flag="--from",
        unset="recognized by its files; if several fit, an error that names them",
    )
    labels: Path | None = option(
        None,
        help="Labels for a plain folder of images: a column 'path' and either a column 'labels' "
        "with ';' between the names (or one row per label), or one 0/1 column per class. Other "
        "usual column names, delimiters and encodings are recognized; see docs/packing.md.",
        metavar="FILE.csv",
    )
    label_separator: str | None = option(
        None,
        help="Separator of the class names in a cell of {labels}, such as '|' or ' '. With ';', "
        "a cell without ';' is one name.",
        metavar="TEXT",
        unset="';', or ',' or '|' if the cells show it",
    )
    label_column: tuple[str, ...] = option(
        (),
        help="Column (hf), member or field of the JSON (webdataset), or control (labelstudio) with "
        "the labels. May be repeated: then each column or field is a class, with 1 or 0.",
        metavar="NAME",
    )
    coco: tuple[str, ...] = option(
        (),
        help="Labels for a plain folder of images, as COCO instances. May be repeated: then each "
        "file is a split, named by SPLIT=, its own name (instances_train2017.json) or its folder "
        "(valid/_annotations.coco.json).",
        metavar="[SPLIT=]FILE.json",
    )
    classes: Path | None = option(
        None,
        help="One class per line, in column order.",
        metavar="FILE",
        unset="the table's columns or COCO's categories; for a VOC tree with no other classes "
        "VOC's 20; else all found, sorted",
    )
    corrections: Path | None = option(
        None,
        help="Correct labels, and leave images out: columns path, class, value; value is 1, 0 or "
        "-1 (difficult), or without a class 'drop'. Paths are those of the packed set. Images "
        "stay in their splits.",
        metavar="FILE.csv",
        unset="none",
    )
    merge_case: bool = option(
        False,
        help="Merge class names that differ only in case ('person', 'Person'), with the spelling "
        "in the file of {classes}, else the most frequent one. Without this option, such names are "
        "an error.",
    )
    rename: tuple[tuple[str, str], ...] = option(
        (),
        help="Rename a class; it is merged with NEW if that exists. May be repeated.",
        metavar="OLD NEW",
    )

    def __post_init__(self) -> None:
        """Check the values, and that there is one source of labels."""
        super().__post_init__()
        if self.labels and self.coco:
            raise OptionError("`labels` and `coco`: two sources of labels; give only one.")
        if self.label_separator is not None and not self.labels and self.from_ is None:
            raise OptionError("`label_separator` is for the table of `labels`; name the table.")
        if self.download and (self.labels or self.coco):
            raise OptionError("`download` brings its own labels: omit `labels` and `coco`.")
        self._check_from()
        if self.label_separator == "":
            raise OptionError(
                "`label_separator` is empty; give the text between the names, such as '|'."
            )

    def _check_from(self) -> None:
        """Check that the options of single sources are given with these sources.

        Raises:
            OptionError: the named source does not take an option that is given.
        """
        if self.from_ is None:
            return
        if self.download and self.from_ != "voc":
            raise OptionError("`download` is PASCAL VOC: omit `from_`.")
        for name, given, takers in (
            ("`labels`", self.labels, WITH_FILE),
            ("`coco`", self.coco, ("coco",)),
            ("`label_separator`", self.label_separator, WITH_SEPARATOR),
            ("`label_column`", self.label_column, WITH_COLUMN),
        ):
            if given and self.from_ not in takers:
                sources = ", ".join(takers)
                raise OptionError(
                    f"{name} is for `from_` {sources}, not {self.from_}; omit one of the two."
                )


@dataclass(frozen=True, kw_only=True)
class SplitConfig(Group):
    """How images are divided into splits."""

    title: ClassVar[str] = "Splits"

    split: str = option(
        "auto",
        help="voc: the splits of the set (lists in ImageSets/Main, folders train/, valid/, test/, "
        "a table's column 'split', several files of {coco}, names of Parquet files). ratio: by "
        "{train_fraction}, with every class in both. auto: voc if the set has splits, else ratio.",
        choices=("auto", "voc", "ratio"),
    )
    train_fraction: float = option(
        0.7,
        help="Share of the images in the training split, with {split} ratio.",
        metavar="FRACTION",
        minimum=0,
        maximum=1,
    )
    seed: int = option(0, help="Seed of the split.")


@dataclass(frozen=True, kw_only=True)
class ImagesConfig(Group):
    """Which images are packed, and in which encoding."""

    title: ClassVar[str] = "Images"

    verify: bool = option(True, help="Decode every image strictly, and leave out bad ones.")
    max_bad: float = option(
        0.01,
        help="Largest share of rejected images; more is an error.",
        metavar="FRACTION",
        minimum=0,
        maximum=1,
    )
    max_pixels: int = max_pixels_option("is rejected before it is decoded")
    resize: int | None = option(
        None,
        help="Resize to a square of this height and width, upright, like {size} of train, and "
        "re-encode: a third of the bytes, a quarter of the decoding time. The second JPEG "
        "compression changes pixels (mean 1.8 gray levels at 256), so resize the images to score "
        "in the same way.",
        metavar="PIXELS",
        unset="keep the original bytes",
        minimum=1,
    )
    quality: int = option(95, help="JPEG quality of {resize}.", minimum=1, maximum=100)
    raw: bool = option(
        False,
        help="Store what the loaders make of an image, to the bit, instead of a JPEG: 3 bytes per "
        "pixel of {resize}, read without a decoder. Only for models of this size, {fit} and "
        "{interpolation}; training crops are taken from the stored pixels.",
    )
    fit: str | None = option(
        None,
        help="With {raw}: how an image becomes a square, as for train.",
        unset="squash",
        choices=FITS,
    )
    interpolation: str | None = option(
        None,
        help="With {raw}: filter of the resize, antialiased.",
        unset="bilinear",
        choices=INTERPOLATIONS,
    )
    crop_fraction: float | None = option(
        None,
        help="With {raw} and {fit} crop: {resize} divided by the length to which the shorter side "
        "is resized.",
        metavar="FRACTION",
        unset="0.875",
        above=0,
        maximum=1,
    )
    pad_color: str | None = option(
        None,
        help="With {raw} and {fit} pad: red, green and blue of the border, 0 to 255.",
        metavar="R,G,B",
        unset="124,116,104, the mean color of ImageNet",
    )

    def __post_init__(self) -> None:
        """Check the values, and that the options of raw images are given together."""
        super().__post_init__()
        if self.raw and self.resize is None:
            raise OptionError("`raw` needs `resize`: the height and width of the images.")
        for name in ("fit", "interpolation", "crop_fraction", "pad_color"):
            if getattr(self, name) is not None and not self.raw:
                raise OptionError(f"`{name}` needs `raw`.")
        for name, fit in (("crop_fraction", "crop"), ("pad_color", "pad")):
            if getattr(self, name) is not None and self.fit != fit:
                raise OptionError(f"`{name}` needs `fit={fit!r}`.")
        if self.pad_color is not None:
            parse_color(self.pad_color)
        if self.raw and self.resize is not None and self.resize > MAX_SIZE:
            raise OptionError(f"`raw`: `resize` may be at most {MAX_SIZE}.")
        if self.resize is not None and enlarges(self.resize, self.crop_fraction or 1.0):
            raise OptionError(
                f"`crop_fraction={self.crop_fraction:g}` would enlarge the shorter side to more "
                f"than {MAX_SIZE} pixels."
            )


@dataclass(frozen=True, kw_only=True)
class ShardsConfig(Group):
    """How the shards are written."""

    title: ClassVar[str] = "Output"

    shard_samples: int = option(1000, help="Images per shard.", metavar="IMAGES", minimum=1)
    workers: int | None = option(
        None,
        help="Threads for reading and checking, of each process; the written bytes do not depend "
        "on it.",
        metavar="THREADS",
        unset="one per usable core",
        minimum=1,
    )
    image_memory: int = image_memory_option("divided among the processes of a machine")
    overwrite: bool = option(False, help="Replace an existing set in SHARDS.")


@dataclass(frozen=True, kw_only=True)
class PackConfig:
    """All settings of packing, except its source and its folder."""

    labels: LabelsConfig = field(default_factory=LabelsConfig)
    splits: SplitConfig = field(default_factory=SplitConfig)
    images: ImagesConfig = field(default_factory=ImagesConfig)
    output: ShardsConfig = field(default_factory=ShardsConfig)
    processes: PackWorkersConfig = field(default_factory=PackWorkersConfig)
