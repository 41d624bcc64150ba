"""Loads files of torch.save without running code from them.

Training scripts save more than tensors: their options, a path, the best accuracy as a NumPy number.
torch's safe loader refuses such a file. Here objects of a fixed list of harmless classes are
replaced by placeholders (the classes are neither imported nor run), and any other class is refused
by name.
"""

from __future__ import annotations

import pickle
import re
from typing import Any, BinaryIO

import torch

from vocscore.errors import CheckpointError

_NUMPY = ("numpy", "numpy.core", "numpy._core")
_LIGHTNING = (
    *("pytorch_lightning.utilities.parsing", "lightning.pytorch.utilities.parsing"),
    *("lightning_fabric.utilities.data", "lightning.fabric.utilities.data"),
)
_DATA = (
    *("argparse.Namespace", "types.SimpleNamespace", "builtins.list", "builtins.dict"),
    *("builtins.int", "builtins.float", "builtins.str", "builtins.tuple", "builtins.bool"),
    *("pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePath"),
    *("pathlib.PurePosixPath", "pathlib.PureWindowsPath"),
    *("pathlib._local.Path", "pathlib._local.PosixPath", "pathlib._local.WindowsPath"),
    *("datetime.datetime", "datetime.date", "datetime.timedelta", "datetime.timezone"),
    *("numpy.dtype", "numpy.ndarray", "uuid.UUID", "decimal.Decimal", "fractions.Fraction"),
    *(f"{name}.multiarray.{kind}" for name in _NUMPY for kind in ("scalar", "_reconstruct")),
    *(f"numpy.dtypes.{kind}{bits}DType" for kind in ("Float", "Int") for bits in (16, 32, 64)),
    *("omegaconf.dictconfig.DictConfig", "omegaconf.listconfig.ListConfig", "typing.Any"),
    *("omegaconf.base.ContainerMetadata", "omegaconf.base.Metadata"),
    *(f"omegaconf.nodes.{kind}Node" for kind in ("Any", "Integer", "Float", "String", "Boolean")),
)
"""Classes of plain values, which do not affect the weights."""
_DICTIONARIES = (
    *("collections.defaultdict", "easydict.EasyDict", "yacs.config.CfgNode", "munch.Munch"),
    *("addict.addict.Dict", "mmengine.config.config.ConfigDict"),
    *(f"{module}.AttributeDict" for module in _LIGHTNING),
)
"""Kinds of dictionaries, which pickle fills like a plain one."""
_GLOBAL = re.compile(r"GLOBAL (\S+)")


class Blank:
    """A placeholder for an object whose class is not run: takes any arguments, keeps nothing."""

    def __new__(cls, *_args: Any, **_named: Any) -> Blank:  # noqa: PYI034 - always a Blank
        """Create a placeholder from any arguments."""
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_named: Any) -> None:
        """Ignore the arguments."""

    def __setstate__(self, _state: object) -> None:
        """Ignore the state."""


class PlainDict:
    """Creates a plain dictionary in place of another kind."""

    def __new__(cls, *_args: Any) -> dict[Any, Any]:  # type: ignore[misc]
        """Return an empty dictionary, which pickle fills."""
        return {}


_STAND_INS = [
    *((Blank, name) for name in _DATA),
    *((PlainDict, name) for name in _DICTIONARIES),
]


def load_pickle(file: BinaryIO) -> object:
    """Load a file of torch.save to the CPU.

    Raises:
        CheckpointError: an object in it does not load without running code; the message names it.
        Exception: the file is damaged.
    """
    try:
        with torch.serialization.safe_globals(_STAND_INS):  # type: ignore[arg-type]
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = _GLOBAL.search(str(error))
        if named is None:
            raise
        raise CheckpointError(
            f"contains {named[1]}, which cannot be loaded without running its code. Save only the "
            "tensors: torch.save(model.state_dict(), FILE)."
        ) from error
