"""The run's folder: its files, and whether the run is finished."""

from __future__ import annotations

import io
import json
import pickle
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shards import atomic
from shards.files import open_binary, read_regular
from vocscore.charts.canvas import FORMATS
from vocscore.charts.evaluation_charts import STEMS
from vocscore.errors import TrainError
from vocscore.models.card import CARD_FILE, ONNX_FILE, WEIGHTS_FILE
from vocscore.records.images import IMAGES
from vocscore.records.keys import shown
from vocscore.records.run_settings import unrecorded_settings
from vocscore.records.score_record import record_file
from vocscore.records.trained_on import CONFIG, PACKED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vocscore.models.card import ModelCard
    from vocscore.models.network import Network
    from vocscore.records.images import UsedImages
    from vocscore.training.history import EpochResult

HISTORY, METRICS, CURVES = "history.csv", "metrics.json", "curves.png"
CHARTS = tuple(f"{stem}{suffix}" for stem in ("curves", *STEMS) for suffix in FORMATS["both"])
TENSORBOARD = "tensorboard"
"""Folder that `--tensorboard` writes."""
OUT_OF_FOLD = "out_of_fold.csv"
"""Predictions that `--folds` writes; the record is beside it."""
STATE = "resume.pt"
"""What a resume needs; exists until the run is finished."""
RUN_FILES = (
    *(CONFIG, IMAGES, HISTORY, METRICS, *CHARTS),
    *(OUT_OF_FOLD, record_file(Path(OUT_OF_FOLD)).name),
    *(WEIGHTS_FILE, ONNX_FILE, CARD_FILE, STATE),
)
QUANTIZE = "quantize"
"""The key of `--quantize`, in the settings of runs that were trained with it."""
_ANYWHERE = ("shards", "threads", "recipe", PACKED, QUANTIZE)
"""Settings that may differ in a resume: the dataset is identified by its manifest, wherever it is;
the number of threads changes no result; a recipe is the settings that it gave; older runs record
less about their dataset; and an 8-bit model is made of the result."""


def check_room(out: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuse a folder that a run would overwrite.

    Raises:
        TrainError: it already holds a run, or it is not a folder.
    """
    if out.exists() and not out.is_dir():
        raise TrainError(f"{out}: is a file, not a folder. Name another one with `output`.")
    if overwrite:
        return
    if is_finished(out):
        raise TrainError(
            f"{out}: already holds a finished run. Replace it with `overwrite=True`, or name "
            "another folder with `output`."
        )
    found = next((name for name in RUN_FILES if (out / name).exists()), None)
    if found and not resume:
        raise TrainError(
            f"{out}: already holds a run ({found}). Continue it with `resume=True`, replace it "
            "with `overwrite=True`, or name another folder with `output`."
        )


def is_finished(out: Path) -> bool:
    """Whether a run is finished; the state for a resume is the last file to be removed."""
    return (out / CARD_FILE).exists() and not (out / STATE).exists()


def start_run(out: Path, config: Mapping[str, object], *, images: UsedImages) -> None:
    """Remove an earlier run, and nothing else, and record the settings of this one.

    Args:
        out: the run's folder; made if missing.
        config: every setting.
        images: the images that it will use.

    Raises:
        OSError: the folder cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    # Files that can be resumed or scored with go first: half a run must not pass for a whole one.
    for name in reversed(RUN_FILES):
        (out / name).unlink(missing_ok=True)
    for events in (out / TENSORBOARD).glob("*/events.out.tfevents.*"):
        events.unlink()
    atomic.write(out / IMAGES, images.to_csv())
    _write_json(out / CONFIG, config)


def save_state(out: Path, state: Mapping[str, Any]) -> None:
    """Save what a resume needs, replacing the last state.

    Args:
        out: the run's folder.
        state: tensors and plain values only.

    Raises:
        OSError: the folder cannot be written.
    """
    import torch

    data = io.BytesIO()
    torch.save(dict(state), data)
    atomic.write(out / STATE, data.getvalue())


def load_state(out: Path, config: Mapping[str, object]) -> dict[str, Any] | None:
    """Load what a resume needs; executes no code from the file.

    Args:
        out: the run's folder.
        config: the settings of this call.

    Returns:
        What `save_state` saved; None if no epoch was finished.

    Raises:
        TrainError: the run has other settings, or the file is damaged.
    """
    file = out / STATE
    if not file.exists():
        return None
    check_same(out, config)
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that torch did not write
            with open_binary(file) as opened:
                state: dict[str, Any] = torch.load(opened, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        # without torch's own message, which advises executing the code in the file
        raise TrainError(
            f"{file}: damaged, or not a training state ({type(error).__name__}). Start over with "
            f"`overwrite=True`."
        ) from error
    return state


def check_same(out: Path, config: Mapping[str, object]) -> None:
    """Refuse to resume a run with other settings.

    Args:
        out: the run's folder.
        config: the current settings, all or some.

    Raises:
        TrainError: a setting differs, or the run's settings cannot be read.
    """
    try:
        before = json.loads(read_regular(out / CONFIG))
    except (OSError, ValueError) as error:
        raise TrainError(
            f"{out / CONFIG}: cannot be read ({error}). Start over with `overwrite=True`."
        ) from error
    usual = unrecorded_settings()
    before = {**usual, **before}
    for name, value in (dict(config) | {n: v for n, v in usual.items() if n not in config}).items():
        if name not in _ANYWHERE and before.get(name) != value:
            raise TrainError(
                f"{out}: cannot be resumed: {shown(name)} was {before.get(name)!r} and is "
                f"{value!r}. "
                f"Use the settings of the run, or start over with `overwrite=True`."
            )


def finish_run(
    out: Path,
    network: Network,
    card: ModelCard,
    *,
    metrics: Mapping[str, object],
    history: Sequence[EpochResult],
    charts: bool = True,
    chart_format: str = "png",
) -> None:
    """Save the checkpoint, its metrics and the curves; `end_run` follows.

    Args:
        out: the run's folder.
        network: of the kept epoch.
        card: of the same.
        metrics: plain values.
        history: every epoch.
        charts: whether the training curves can be drawn here.
        chart_format: 'png', 'svg' or 'both'.

    Raises:
        OSError: the folder cannot be written.
    """
    from vocscore.models.checkpoint import save_checkpoint
    from vocscore.training.plots import curves

    save_checkpoint(out, network, card)
    _write_json(out / METRICS, metrics)
    if charts:
        curves(history, out, chart_format=chart_format)


def end_run(out: Path) -> None:
    """Delete the state for a resume, after everything else is written.

    Raises:
        OSError: the folder cannot be written.
    """
    (out / STATE).unlink(missing_ok=True)


def _write_json(file: Path, value: Mapping[str, object]) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    atomic.write(file, text.encode())
