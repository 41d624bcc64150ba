"""What timm knows of its models: names, pretrained weights, preprocessing, license."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from vocscore import offline
from vocscore.errors import CheckpointError
from vocscore.models.backbones import TIMM, refuse_missing_timm, refuse_unknown_timm, timm_name
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Mapping


def timm_library(backbone: str) -> Any:
    """Import timm, which is an extra, without a request to Hugging Face.

    Args:
        backbone: the name that needs it, for the error.

    Raises:
        CheckpointError: it is not installed.
    """
    refuse_missing_timm(backbone)
    with offline.hub_closed():
        import timm
        import timm.data
    return timm


def architecture(backbone: str) -> str:
    """Return timm's name of a model, without the tag of its weights.

    Raises:
        CheckpointError: timm is missing, or has no such model.
    """
    timm, name = timm_library(backbone), timm_name(backbone).partition(".")[0]
    if not timm.is_model(name):
        refuse_unknown_timm(backbone, timm.list_models())
    return name


def check_timm(backbone: str) -> None:
    """Refuse a backbone that timm does not have, tag included.

    Raises:
        CheckpointError: timm is missing, or has no such model; the message suggests names.
    """
    timm, name = timm_library(backbone), architecture(backbone)
    refuse_unknown_timm(backbone, timm.list_models())  # deprecated names too
    known = _tagged(name)
    if timm_name(backbone) not in (name, *known):
        tag = timm_name(backbone).partition(".")[2]
        near = difflib.get_close_matches(timm_name(backbone), known, n=3, cutoff=0.5)
        some = near or list(known)[:3] or [name]
        raise CheckpointError(
            f"backbone {backbone!r}: timm's {name} has no weights {tag!r}. Some that it has: "
            f"{', '.join(f'{TIMM}{one}' for one in some)}."
        )


def configuration(backbone: str) -> dict[str, Any]:
    """Return timm's configuration of the named weights, or of the model's default weights.

    A tag that the installed timm does not know is ignored: it names weights, not a model.

    Raises:
        CheckpointError: timm is missing, or has no such model.
    """
    name, tagged = architecture(backbone), timm_name(backbone)
    known = _tagged(name)
    found = known.get(tagged) or timm_library(backbone).get_pretrained_cfg(name)
    return {} if found is None else dict(found.to_dict())


def weights_name(backbone: str) -> str:
    """Return NAME.TAG of a model's pretrained weights, as the card records them."""
    tag = configuration(backbone).get("tag")
    return f"{architecture(backbone)}{f'.{tag}' if tag else ''}"


def model_preprocess(backbone: str) -> Preprocess:
    """Return the preprocessing with which timm evaluates a model: its own data configuration.

    Raises:
        CheckpointError: timm is missing, or has no such model.
    """
    found = timm_library(backbone).data.resolve_data_config(pretrained_cfg=configuration(backbone))
    return Preprocess(
        size=int(found["input_size"][-1]),
        mean=_three(found["mean"]),
        std=_three(found["std"]),
        interpolation="bilinear" if found["interpolation"] == "bilinear" else "bicubic",
        **_fit(found),
    )


def _fit(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return how timm's evaluation makes an image square, as arguments of Preprocess."""
    if found["crop_mode"] == "squash":  # a crop fraction below 1 of it is not reproduced
        return {"fit": "squash"}
    if found["crop_mode"] == "border":
        red, green, blue = (round(255 * value) for value in found["mean"])
        return {"fit": "pad", "pad_color": (red, green, blue)}
    return {"fit": "crop", "crop_fraction": min(1.0, float(found["crop_pct"]))}


def timm_origin(backbone: str) -> dict[str, str]:
    """Return license and source of a model's pretrained weights, as far as timm states them.

    Raises:
        CheckpointError: timm is missing, or has no such model.
    """
    found = configuration(backbone)
    repository = found.get("hf_hub_id")
    facts = {
        "license": found.get("license"),
        "source": f"https://huggingface.co/{repository}" if repository else found.get("url"),
        "original": found.get("origin_url"),
    }
    return {key: str(value) for key, value in facts.items() if value}


def _tagged(name: str) -> Mapping[str, Any]:
    """Return the configurations of a model's pretrained weights by NAME.TAG, the default first."""
    from timm.models import get_arch_pretrained_cfgs

    found: dict[str, Any] = get_arch_pretrained_cfgs(name)
    return found


def _three(values: Any) -> tuple[float, float, float]:
    red, green, blue = map(float, values)
    return red, green, blue
