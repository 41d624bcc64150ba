"""Finds a backbone's tensors in the checkpoints of training scripts.

A file may contain several nested dictionaries (the weights, their moving average, the optimizer),
and the names of the tensors may have the prefixes of modules that wrapped the network
(DataParallel, torch.compile, Lightning). Nothing is guessed from the names of wrappers: a
dictionary and a prefix are used if they contain every tensor of the backbone.
"""

from __future__ import annotations

import re
from collections import Counter
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
"""Inserted into names by wrappers of single modules."""
_COUNTER = "num_batches_tracked"
"""A counter of batch normalization; it has no effect here, and many files lack it."""
_DEEPEST = 4
_SAVE = "Save a state dict with torch.save(model.state_dict(), FILE) or as safetensors."
_USUAL = ("state_dict", "model_state_dict", "model", "module", "net", "network")
"""Usual keys of the weights, in order of preference if several fit."""
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
    """The tensors of one network, by its library's names.

    Attributes:
        values: name -> tensor.
        versions: versions of the modules, if the file records them; else empty.
        where: location in the file: keys, then a prefix; '' for a plain state dict.
    """

    values: Mapping[str, torch.Tensor]
    versions: Mapping[str, Any]
    where: str


@dataclass(frozen=True, slots=True)
class _Held:
    """The named tensors of one dictionary of a file.

    Attributes:
        keys: the keys that lead to it.
        named: its tensors, by torchvision's current names.
        versions: versions of the modules, by their names in the file.
    """

    keys: tuple[str, ...]
    named: Mapping[str, torch.Tensor]
    versions: Mapping[str, Any]

    def unwrapped(self) -> _Held:
        """Return the same without the wrappers of single modules in the names."""
        named = {_WRAPPERS.sub("", name): tensor for name, tensor in self.named.items()}
        return _Held(self.keys, named, {})


@dataclass(frozen=True, slots=True)
class _Place:
    """The tensors of a dictionary whose names begin with a prefix."""

    held: _Held
    prefix: str

    @property
    def words(self) -> str:
        """The location as text, for messages."""
        return "/".join([*self.held.keys, *([f"{self.prefix}*"] if self.prefix else [])])

    @property
    def averaged(self) -> bool:
        """Whether its name is that of a moving average."""
        return any(_EMA.search(key) for key in (*self.held.keys, self.prefix.rstrip(".")))

    @property
    def usual(self) -> int:
        """Its rank among the usual keys; the smallest is preferred."""
        outer = (*self.held.keys, self.prefix.partition(".")[0])[0]
        return -1 if not outer else _USUAL.index(outer) if outer in _USUAL else len(_USUAL)

    def has(self, names: Collection[str]) -> int:
        """Return how many of these names it contains."""
        return sum(f"{self.prefix}{name}" in self.held.named for name in names)

    def tensors(self) -> Tensors:
        """Return the tensors without the prefix."""
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
    """Find the tensors of a backbone in the content of a file.

    Args:
        saved: content of the file.
        own: names of the backbone's tensors, without those of its head.
        origin: name of the file in errors.

    Returns:
        The tensors whose names fit; else the closest ones, so that `fit_weights` can report what is
        wrong with them. A moving average (EMA) is preferred to the weights themselves, as in timm,
        because it is usually what is published.

    Raises:
        CheckpointError: it contains no named tensors, or several networks that fit.
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
    guessed = [
        place for held in (h.unwrapped() for h in found) for place in _likely(held, set(needed))
    ]
    nearest = max([*places, *guessed], key=lambda p: (p.has(needed), len(p.held.named)))
    return nearest.tensors()


def _likely(held: _Held, needed: Collection[str]) -> list[_Place]:
    """Return the prefix with which most of the needed names occur, if any does."""
    prefixes: Counter[str] = Counter()
    for name in held.named:
        parts = name.split(".")
        tails = (".".join(parts[at:]) for at in range(len(parts)))
        prefixes.update(name.removesuffix(tail) for tail in tails if tail in needed)
    return [_Place(held, prefix) for prefix, _ in prefixes.most_common(1)]


def foreign_names(names: Collection[str]) -> str | None:
    """Return the library that uses these tensor names; None if unknown."""
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
            f"{origin}: contains {len(left)} networks that fit: "
            f"{', '.join(place.words for place in left)}. Save the one to use to a separate file."
        )
    return left[0]


def _places(held: _Held, first: str) -> list[_Place]:
    """Return each prefix with which a name occurs; only the empty one if it does not occur."""
    prefixes = {
        name.removesuffix(first)
        for name in held.named
        if name == first or name.endswith(f".{first}")
    }
    return [_Place(held, prefix) for prefix in sorted(prefixes) or [""]]


def _dictionaries(value: object, keys: tuple[str, ...] = ()) -> Iterator[_Held]:
    """Yield every dictionary with named tensors."""
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
    """Return what a file contains instead, for messages."""
    if isinstance(saved, dict) and saved:
        return f"a dictionary of {', '.join(f'{key!r}' for key in list(saved)[:5])}"
    return f"a {type(saved).__name__}"
