"""Turn folders of images into multi-label predictions.

The names below are the whole API; each is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vocscore import machine, offline

if TYPE_CHECKING:
    from vocscore.api.model import Model, load
    from vocscore.api.predictions import Prediction, Predictions

__all__ = ["Model", "Prediction", "Predictions", "load"]

_ROOMS = {
    "Model": "vocscore.api.model",
    "Prediction": "vocscore.api.predictions",
    "Predictions": "vocscore.api.predictions",
    "load": "vocscore.api.model",
}

offline.settle()
machine.settle_threads()


def __getattr__(name: str) -> Any:
    """Load what is asked for (PEP 562)."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'vocscore' has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)


def __dir__() -> list[str]:
    """The API, for completion."""
    return sorted(__all__)
