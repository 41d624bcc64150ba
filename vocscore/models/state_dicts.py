"""Finds a backbone's tensors in what training scripts save around and inside a state dict.

A file may hold several dictionaries (the weights, their moving average, the optimizer), in
others, and the names of the tensors may have prefixes of the modules that wrapped the network
(DataParallel, torch.compile, Lightning). Nothing is guessed from the names of wrappers: a
dictionary and a prefix are taken where every tensor that the backbone has is there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from vocscore.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
"""torchvision's published DenseNet files predate the ban on dots in module names."""
_WRAPPERS = re.compile(
    r"(?<![^.])(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\."
)
"""What wrappers of single modules put in the middle of names."""
_COUNTER = "num_batches_tracked"
"""Of batch normalization; it has no effect here, and many files lack it."""
_DEEPEST = 4
_SAVE = "Save a state dict with torch.save(model.state_dict(), FILE) or as safetensors."
_USUAL = ("state_dict", "model_state_dict", "model", "module", "net", "network")
"""Keys of the weights themselves, in the order in which they are taken where several fit."""
_EMA = re.compile(r"(^|[._])ema([._]|$)")
_FOREIGN = (
    (re.compile(r"(^|\.)(conv_stem|patch_embed)\.|(^|\.)stages\.\d+\.blocks\."), "timm"),
    (
        re.compile(r"(^|\.)(embedder|embeddings)\.|(^|\.)encoder\.(layer|stages)\.\d+\."),
        "Hugging Face transformers",
    ),
)
"""Names that occur only in models of other libraries."""


@dataclass(frozen=True, slots=True)
class Tensors:
    """The tensors of one network, by torchvision's names.

    Attributes:
        values: name -> tensor.
        versions: of the modules, as the file records them; empty where it does not.
        where: in the file: keys, then a prefix; '' for a plain state dict.
    """

    values: Mapping[str, torch.Tensor]
    versions: Mapping[str, Any]
    where: str


@dataclass(frozen=True, slots=True)
class _Held:
    """The named tensors of one dictionary of a file.

    Attributes:
        keys: that lead to it.
        named: its tensors, by the names that torchvision has today.
        versions: of the modules, by their names there.
    """

    keys: tuple[str, ...]
    named: Mapping[str, torch.Tensor]
    versions: Mapping[str, Any]

    def unwrapped(self) -> _Held:
        """The same without the wrappers of single modules in the names."""
        named = {_WRAPPERS.sub("", name): tensor for name, tensor in self.named.items()}
        return _Held(self.keys, named, {})


@dataclass(frozen=True, slots=True)
class _Place:
    """Those tensors of a dictionary whose names begin with a prefix."""

    held: _Held
    prefix: str

    @property
    def words(self) -> str:
        """For people."""
        return "/".join([*self.held.keys, *([f"{self.prefix}*"] if self.prefix else [])])

    @property
    def averaged(self) -> bool:
        """Whether it is a moving average by its name."""
        return any(_EMA.search(key) for key in (*self.held.keys, self.prefix.rstrip(".")))

    @property
    def usual(self) -> int:
        """Its rank among the usual places; the smallest is taken."""
        outer = (*self.held.keys, self.prefix.partition(".")[0])[0]
        return -1 if not outer else _USUAL.index(outer) if outer in _USUAL else len(_USUAL)

    def has(self, names: Collection[str]) -> int:
        """Count these names in it."""
        return sum(f"{self.prefix}{name}" in self.held.named for name in names)

    def tensors(self) -> Tensors:
        """Take the prefix off."""
        cut = len(self.prefix)
        values = {
            name[cut:]: value
            for name, value in self.held.named.items()
            if name.startswith(self.prefix)
        }
        versions = {
            name[cut:]: version
            for name, version in self.held.versions.items()
            if f"{name}.".startswith(self.prefix)
        }
        return Tensors(values, versions, self.words)


def find_tensors(saved: object, own: Collection[str], *, origin: str) -> Tensors:
    """Find the tensors of a backbone in what a file holds.

    Args:
        saved: what the file holds.
        own: the names of the backbone's tensors, without its head's.
        origin: what an error calls the file.

    Returns:
        Those that fit by their names; else the closest ones, for `fit_weights` to report what is
        wrong with them. A moving average (EMA) is preferred to the weights themselves, as in timm:
        it is what gets published.

    Raises:
        CheckpointError: no tensors by names are in it, or several networks that fit.
    """
    needed = [name for name in own if not name.endswith(_COUNTER)]
    found = list(_dictionaries(saved))
    if not found:
        raise CheckpointError(f"{origin}: not a state dict, but {_words(saved)}. {_SAVE}")
    for dictionaries in (found, [held.unwrapped() for held in found]):
        places = [place for held in dictionaries for place in _places(held, needed[0])]
        fits = [place for place in places if place.has(needed) == len(needed)]
        if fits:
            return _chosen(fits, origin=origin).tensors()
    nearest = max(places, key=lambda place: (place.has(needed), len(place.held.named)))
    return nearest.tensors()


def foreign_names(names: Collection[str]) -> str | None:
    """The library that uses these tensor names; None if unknown."""
    for pattern, library in _FOREIGN:
        if any(pattern.search(name) for name in names):
            return library
    return None


def _chosen(fits: Sequence[_Place], *, origin: str) -> _Place:
    averaged = [place for place in fits if place.averaged]
    left = averaged or list(fits)
    first = min(place.usual for place in left)
    left = [place for place in left if place.usual == first]
    if len(left) > 1:
        raise CheckpointError(
            f"{origin}: holds {len(left)} networks that fit: "
            f"{', '.join(place.words for place in left)}. Save the one that you mean to a file of "
            "its own."
        )
    return left[0]


def _places(held: _Held, first: str) -> list[_Place]:
    """Each prefix with which a name occurs; the empty one if it does not occur."""
    prefixes = {
        name.removesuffix(first)
        for name in held.named
        if name == first or name.endswith(f".{first}")
    }
    return [_Place(held, prefix) for prefix in sorted(prefixes) or [""]]


def _dictionaries(value: object, keys: tuple[str, ...] = ()) -> Iterator[_Held]:
    """Every dictionary with named tensors."""
    if not isinstance(value, dict) or len(keys) > _DEEPEST:
        return
    named = {
        _OLD_DENSENET.sub(r"\1\2", name): tensor
        for name, tensor in value.items()
        if isinstance(name, str) and isinstance(tensor, torch.Tensor)
    }
    if named:
        yield _Held(keys, named, getattr(value, "_metadata", {}))
    for key, inner in value.items():
        if isinstance(key, str):
            yield from _dictionaries(inner, (*keys, key))


def _words(saved: object) -> str:
    """What a file holds instead, for people."""
    if isinstance(saved, dict) and saved:
        return f"a dictionary of {', '.join(f'{key!r}' for key in list(saved)[:5])}"
    return f"a {type(saved).__name__}"
