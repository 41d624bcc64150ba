"""The keywords of the API's functions, for editors and type checkers.

Written by `make docs` from the groups in `vocscore/config`, which hold defaults, ranges and help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike


class PackKeywords(TypedDict, total=False):
    """Options of `vocscore.pack`."""

    download: Literal["2007", "2012"] | None
    from_: (
        Literal[
            "voc",
            "coco",
            "table",
            "folders",
            "hf",
            "google",
            "roboflow",
            "yolo",
            "labelstudio",
            "cvat",
            "webdataset",
        ]
        | None
    )
    labels: str | PathLike[str] | None
    label_separator: str | None
    label_column: Sequence[str]
    coco: Sequence[str]
    classes: str | PathLike[str] | None
    corrections: str | PathLike[str] | None
    merge_case: bool
    rename: Sequence[tuple[str, str]]
    split: Literal["auto", "voc", "ratio"]
    train_fraction: float
    seed: int
    verify: bool
    max_bad: float
    max_pixels: int
    resize: int | None
    quality: int
    raw: bool
    fit: Literal["squash", "crop", "pad"] | None
    interpolation: Literal["bilinear", "bicubic"] | None
    crop_fraction: float | None
    pad_color: str | None
    shard_samples: int
    workers: int | None
    image_memory: int
    overwrite: bool
    processes: int | None
    on: str | None
    cpus_per_process: int | None
    mixed_machines: bool


class VerifyKeywords(TypedDict, total=False):
    """Options of `vocscore.verify`."""

    decode: bool
    duplicates: bool
    distance: int
    max_pixels: int


class TrainKeywords(TypedDict, total=False):
    """Options of `vocscore.train`."""

    backbone: str
    weights: str
    size: int
    head: Literal["linear", "csra", "gcn", "chain"]
    csra_lambda: float | None
    csra_temperature: float
    fit: Literal["squash", "crop", "pad"] | None
    interpolation: Literal["bilinear", "bicubic"] | None
    crop_fraction: float | None
    pad_color: str | None
    threshold: float
    train_split: str
    val_split: str
    max_pixels: int
    difficult: Literal["ignore", "positive", "negative"]
    seed: int
    tune: Literal["head", "all"]
    solver: Literal["sgd", "lbfgs", "auto"]
    l2: float | None
    epochs: int
    batch_size: int
    optimizer: Literal["sgd", "adamw"]
    learning_rate: float
    backbone_rate: float
    momentum: float
    weight_decay: float
    schedule: Literal["constant", "cosine", "onecycle"]
    warmup: float
    clip: float
    ema: float
    standardize: bool
    precision: Literal["float32", "bf16", "auto"]
    loss: Literal["bce", "asl"]
    class_weight: float
    gamma_positive: float
    gamma_negative: float
    margin: float
    keep: Literal["last", "best"]
    patience: int | None
    thresholds: str
    calibrate: bool
    crop_scale: float
    flip: float
    jitter: float
    folds: int | None
    resume: bool
    overwrite: bool
    quantize: bool
    tensorboard: bool
    device: str
    loader: Literal["auto", "dali", "host", "reference"]
    workers: int | None
    image_memory: int
    chart_format: Literal["png", "svg", "both"]


class PlanKeywords(TypedDict, total=False):
    """Options of `vocscore.plan`."""

    processes: int
    seconds: float
    price_per_hour: float | None
    price_per_1000_requests: float | None
    price_per_gb: float | None
    include: Sequence[str]
    exclude: Sequence[str]
    unit_size: int
    format: Literal["csv", "parquet", "jsonl"] | None
    columns: Literal["all", "probabilities", "labels"]
    top_k: int | None
    min_probability: float
    decimals: int | None
    thresholds_file: str | PathLike[str] | None
    features: str | PathLike[str] | None
    features_dtype: Literal["float32", "float16"]
    overwrite: bool
    ceilings: bool | None
    max_bad: float | None
    quarantine: str | PathLike[str] | None
    batch_size: int
    max_pixels: int
    device: str
    loader: Literal["auto", "dali", "host", "reference"]
    workers: int | None
    image_memory: int
    precision: Literal["auto", "float32", "bf16", "int8"]
    devices: Sequence[str]
    tta: str | None


class ScoreKeywords(TypedDict, total=False):
    """Options of `vocscore.score`."""

    include: Sequence[str]
    exclude: Sequence[str]
    unit_size: int
    format: Literal["csv", "parquet", "jsonl"] | None
    columns: Literal["all", "probabilities", "labels"]
    top_k: int | None
    min_probability: float
    decimals: int | None
    thresholds_file: str | PathLike[str] | None
    features: str | PathLike[str] | None
    features_dtype: Literal["float32", "float16"]
    overwrite: bool
    ceilings: bool | None
    update: bool
    update_by: Literal["size", "hash"]
    keep_removed: bool
    max_bad: float | None
    quarantine: str | PathLike[str] | None
    batch_size: int
    max_pixels: int
    device: str
    loader: Literal["auto", "dali", "host", "reference"]
    workers: int | None
    image_memory: int
    precision: Literal["auto", "float32", "bf16", "int8"]
    devices: Sequence[str]
    tta: str | None
    units: str | None
    on: str | None
    processes: int | None
    cpus_per_process: int | None
    gpus_per_process: float | None
    mixed_machines: bool


class MergeKeywords(TypedDict, total=False):
    """Options of `vocscore.merge`."""

    overwrite: bool
    max_bad: float | None
    quarantine: str | PathLike[str] | None


class EvalKeywords(TypedDict, total=False):
    """Options of `vocscore.evaluate`."""

    split: str | None
    model: str | PathLike[str] | None
    threshold: float | None
    difficult: Literal["ignore", "positive", "negative"]
    resamples: int
    seed: int


class CompareKeywords(TypedDict, total=False):
    """Options of `vocscore.compare`."""

    labels: str | PathLike[str] | None
    threshold: float | None
    all_images: bool
    resamples: int
    seed: int


class RelabelKeywords(TypedDict, total=False):
    """Options of `vocscore.relabel`."""

    overwrite: bool


class ViewKeywords(TypedDict, total=False):
    """Options of `vocscore.view`."""

    labels: str | PathLike[str] | None
    images: str | PathLike[str] | None
    host: str
    port: int | None
    open: bool


class ReportKeywords(TypedDict, total=False):
    """Options of `vocscore.report`."""

    labels: str | PathLike[str] | None
    images: str | PathLike[str] | None
    heading: str | None
    images_per_class: int
    thumbnail_size: int
    overwrite: bool
    resamples: int
    seed: int


class QuantizeKeywords(TypedDict, total=False):
    """Options of `vocscore.quantize`."""

    shards: str | PathLike[str] | None
    split: str | None
    calibration_images: int
    max_pixels: int
    max_map_drop: float
    max_changed: float


class ExportKeywords(TypedDict, total=False):
    """Options of `vocscore.export`."""

    shards: str | PathLike[str] | None
    split: str | None
    images: str | PathLike[str] | None
    drawn: bool
    check_images: int
    max_pixels: int
    overwrite: bool


class ImportModelKeywords(TypedDict, total=False):
    """Options of `vocscore.import_model`."""

    classes: str | PathLike[str] | None
    backbone: str | None
    activation: Literal["sigmoid", "softmax", "none"] | None
    threshold: float | None
    layout: Literal["NCHW", "NHWC"] | None
    output_name: str | None
    size: int | None
    fit: Literal["squash", "crop", "pad"] | None
    interpolation: Literal["bilinear", "bicubic"] | None
    crop_fraction: float | None
    mean: str | None
    std: str | None
    images: str | PathLike[str] | None
    check_images: int
    max_pixels: int
    overwrite: bool


class DemoKeywords(TypedDict, total=False):
    """Options of `vocscore.demo`."""

    images: int
    epochs: int
    overwrite: bool
