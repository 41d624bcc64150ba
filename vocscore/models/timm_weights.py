"""Pretrained weights of timm's models: files of Hugging Face's hub, without running their code.

timm's own loader is not used: it unpickles some files freely and ignores missing tensors.
"""

from __future__ import annotations

import socket
import sys
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch

from vocscore.errors import CheckpointError
from vocscore.models.timm_models import (
    architecture,
    configuration,
    weights_name,
)
from vocscore.models.weight_files import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import nn

    Tensors = Mapping[str, torch.Tensor]

_FILES = ("model.safetensors", "pytorch_model.bin")
"""The file of weights in a repository of the hub, in order of preference."""
_FILTERS = ("checkpoint_filter_fn", "_filter_fn", "pretrained_filter_fn")
"""Names in timm's modules of the function that converts tensors of other forms and sizes."""


def timm_weights_file(backbone: str, *, on_stage: Callable[[str], None] | None = None) -> Path:
    """Return the file of a model's pretrained weights, from the cache or downloaded once.

    Args:
        backbone: 'timm/NAME' or 'timm/NAME.TAG'; without a tag, timm's default weights.
        on_stage: called before a download, which then shows its progress on a terminal.

    Raises:
        CheckpointError: timm has no weights of this model, or they cannot be downloaded.
    """
    found = configuration(backbone)
    if found.get("hf_hub_id"):
        return _from_hub(backbone, found, on_stage=on_stage)
    if found.get("url"):
        return _from_url(backbone, found["url"], on_stage=on_stage)
    raise CheckpointError(
        f"timm has no pretrained weights of {architecture(backbone)}. Use `weights=FILE`, "
        "`weights='none'` for random weights, or another `backbone`."
    )


def convert(
    model: nn.Module, values: Mapping[str, torch.Tensor], *, published: bool = False
) -> Tensors | None:
    """Convert tensors that do not fit as they are, as timm does for its own weights.

    These are names of the model's authors (DINOv2's, ConvNeXt's), and position embeddings of
    another image size.

    Args:
        model: timm's model, to fit.
        values: tensors by name, without prefixes of wrappers.
        published: they are timm's weights of this model, in which timm ignores unknown names.

    Returns:
        Tensors by timm's names; None if timm's rule for this model fails.
    """
    rule = _rule(model)
    made: Mapping[str, Any] = values
    try:
        if rule is not None:
            made = rule(dict(values), model)
    except Exception:  # noqa: BLE001 - written for the model's own files; others may raise anything
        return None
    own = model.state_dict()
    return {
        name: value
        for name, value in made.items()
        if isinstance(value, torch.Tensor) and (name in own or not published)
    }


def _rule(model: Any) -> Callable[..., dict[str, Any]] | None:
    """Return the function of timm that converts a model's weights, found by its name."""
    from timm.models import model_entrypoint

    of_name = model_entrypoint(model.pretrained_cfg["architecture"]).__module__
    for module in (of_name, type(model).__module__):
        for name in _FILTERS:
            rule = getattr(sys.modules[module], name, None)
            if rule is not None:
                return cast("Callable[..., dict[str, Any]]", rule)
    return None


def _from_hub(
    backbone: str, found: Mapping[str, Any], *, on_stage: Callable[[str], None] | None
) -> Path:
    """Return a file of the hub's cache; a request is made only if it is not there."""
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    repository, _, revision = str(found["hf_hub_id"]).partition("@")
    names = [found["hf_hub_filename"]] if found.get("hf_hub_filename") else list(_FILES)

    def get(name: str, *, cached: bool) -> Path:
        file = hf_hub_download(repository, name, revision=revision or None, local_files_only=cached)
        return Path(file)

    for name in names:
        with suppress(LocalEntryNotFoundError):
            return get(name, cached=True)
    if on_stage is not None:
        on_stage(f"downloading {weights_name(backbone)}")
    try:
        _resolve(constants.ENDPOINT)
        with _quiet(shown=on_stage is not None and sys.stderr is not None and sys.stderr.isatty()):
            return _first_present(partial(get, cached=False), names)
    except Exception as error:
        raise CheckpointError(
            f"{weights_name(backbone)} is not in Hugging Face's cache ({constants.HF_HUB_CACHE}) "
            f"and cannot be downloaded from {constants.ENDPOINT}/{repository} "
            f"({first_line(_root(error))}). Get its {names[0]} and use `weights=FILE`, or start "
            "from random weights with `weights='none'`."
        ) from error


def _first_present(get: Callable[[str], Path], names: Sequence[str]) -> Path:
    """Download the first file that the repository has."""
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    *others, last = names
    for name in others:
        try:
            return get(name)
        except LocalEntryNotFoundError:  # noqa: PERF203 - at most one more; the hub is out of reach
            raise
        except EntryNotFoundError:
            continue
    return get(last)


def _resolve(address: str) -> None:
    """Resolve the name of a host, unless a proxy does: offline, each request is retried for 25 s.

    Raises:
        OSError: it has no address here.
    """
    parts = urlsplit(address)
    if parts.hostname and parts.scheme not in getproxies():
        socket.getaddrinfo(parts.hostname, parts.port or 443)


def _root(error: BaseException) -> BaseException:
    """Return the error that caused the others."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _from_url(backbone: str, url: Any, *, on_stage: Callable[[str], None] | None) -> Path:
    """Return a file of torch.hub's cache, downloaded once."""
    address, name = (url, url.rpartition("/")[2]) if isinstance(url, str) else url
    file = Path(torch.hub.get_dir()) / "checkpoints" / name
    if file.exists():
        return file
    if on_stage is not None:
        on_stage(f"downloading {name}")
    digest = torch.hub.HASH_REGEX.search(name)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(
            address, str(file), digest.group(1) if digest else None, progress=False
        )
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"{weights_name(backbone)}: {name} is not in {file.parent} and cannot be downloaded "
            f"from {address} ({first_line(error)}). Copy it there, use `weights=FILE`, or start "
            "from random weights with `weights='none'`."
        ) from error
    return file


@contextmanager
def _quiet(*, shown: bool) -> Iterator[None]:
    """Turn off huggingface_hub's warnings, and its progress bars unless they are shown."""
    from huggingface_hub.utils import logging, tqdm

    bars = not shown and not tqdm.are_progress_bars_disabled()
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    if bars:
        tqdm.disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            tqdm.enable_progress_bars()
