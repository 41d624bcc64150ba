"""The plan of a run: what a resumed run, and a finished output, must have in common with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from vocscore.records.keys import stored_loader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vocscore.config.scoring import ScoreConfig
    from vocscore.scoring.engines.factory import EngineOpener
    from vocscore.scoring.inputs.globs import Globs


def plan_of(
    config: ScoreConfig,
    known: Mapping[str, Any],
    *,
    globs: Globs,
    loader: str,
    opener: EngineOpener,
    output: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything that determines the bytes of the output.

    Args:
        config: the options.
        known: the model, its preprocessing, the inputs and the thresholds.
        globs: of the inputs.
        loader: class name of the image loader.
        opener: has the device and the precision.
        output: what a row looks like.
    """
    return {
        **{name: known[name] for name in ("vocscore", "checkpoint", "preprocess")},
        **{name: known[name] for name in ("source", "listing")},
        "include": list(globs.include),
        "exclude": list(globs.exclude),
        "unit_size": config.inputs.unit_size,
        "threshold": known["threshold"],
        "maker": stored_loader(loader),
        "device": opener.device.partition(":")[0],
        "precision": opener.precision,
        **({"int8": opener.int8} if opener.int8 else {}),
        "max_pixels": config.decode.max_pixels,
        "output": output,
        **({"tta": config.compute.tta} if config.compute.tta else {}),
    }


def begun_precision(plan: Mapping[str, Any] | None, known: Mapping[str, Any]) -> str | None:
    """The precision of an unfinished run; None if there is none, or it is of another command.

    Args:
        plan: of the unfinished run.
        known: what this run's plan will have, before the model is loaded.
    """
    if plan is None or any(plan.get(n) != v for n, v in json.loads(json.dumps(known)).items()):
        return None
    found = plan.get("precision")
    return found if isinstance(found, str) else None
