"""Heads and classic methods on the same frozen features, over many splits, in pairs.

The heads are trained by `vocscore` itself. Labels that only 'difficult' objects show are left out
of every figure; scikit-learn's methods, which cannot leave them out, learn them as absent.
"""

from __future__ import annotations

import math
import statistics
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from bench import classic, product
from bench.checkpoints import decoded
from bench.contests import BACKBONES
from bench.images import real_voc
from bench.outcome import Outcome
from shards.manifest import NAME as MANIFEST
from shards.manifest import read_manifest
from shards.splitting.stratify import stratify
from shards.synthetic.voc import draw_voc
from vocscore.config.groups import build
from vocscore.config.model import ModelConfig
from vocscore.config.optimization import OptimizationConfig
from vocscore.config.training import DataConfig, TrainConfig
from vocscore.errors import CheckpointError
from vocscore.evaluation.metrics import report
from vocscore.pipeline.preprocess import Preprocess
from vocscore.training.feature_scaling import measure_standard
from vocscore.training.features import Features
from vocscore.training.recipes import load_recipe
from vocscore.training.setup import frozen_features, new_network
from vocscore.training.splits import load_splits
from vocscore.training.train_head import train_head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bench.contests import Options
    from vocscore.training.splits import Splits

DEFAULTS = ("squeezenet1_0", "timm/tf_efficientnet_lite0")
"""Backbones if none is named: a weak and a strong one, because heads differ between them."""
HOG = "HOG and colors"
REFERENCE = "linear, AdamW steps"
CONTROL = "gcn, identity (control)"
HEADS: dict[str, dict[str, Any]] = {
    REFERENCE: {"solver": "sgd"},
    "linear, L-BFGS": {"solver": "lbfgs"},
    "chain": {"solver": "sgd", "head": "chain"},
    "gcn": {"solver": "sgd", "head": "gcn"},
    CONTROL: {"solver": "sgd", "head": "gcn"},
    "csra, lambda 0.3": {"solver": "sgd", "head": "csra", "csra_lambda": 0.3},
    "csra, lambda chosen": {"solver": "sgd", "head": "csra"},
}
"""Settings beside those of the recipe `strong`."""
CLASSIC = {
    "binary relevance": classic.binary_relevance,
    f"chains, {classic.ORDERS} orders": classic.chains,
    "ML-kNN": classic.ml_knn,
}
FIGURES = ("map", "f1", "exact")
_FRACTION, _DRAWN = 0.7, 60


@dataclass(frozen=True)
class Inputs:
    """What heads see of every image: float32 (N, F), and maps (N, F, h, w), if there are any."""

    features: torch.Tensor
    maps: torch.Tensor | None
    labels: NDArray[np.int8]

    def rows(self, chosen: NDArray[np.bool_], *, on_maps: bool = False) -> Features:
        """The features or maps of some images, a mask (N,)."""
        values = self.maps if on_maps else self.features
        assert values is not None
        return Features(values[torch.from_numpy(chosen)], self.labels[chosen])


def run(options: Options) -> Iterator[Outcome]:
    """One table per backbone, and one for features without a network."""
    shards = _packed(options)
    splits, classes = load_splits(shards, DataConfig()), read_manifest(shards).classes
    labels = np.concatenate((splits.train.labels, splits.val.labels))
    divisions = [divide(labels, seed=seed) for seed in range(options.splits)]
    named = DEFAULTS if options.backbones == BACKBONES else options.backbones
    for name in (*named, HOG):
        inputs = _plain(splits, labels) if name == HOG else _frozen(name, splits, classes, labels)
        found = judge(inputs, divisions)
        table = markdown(found)
        yield Outcome(
            contest="heads",
            title=f"heads on {name}: {len(labels)} images, {len(divisions)} splits",
            key={"backbone": name, "images": str(len(labels)), "splits": str(len(divisions))},
            unit="mAP",
            facts={"runs": found, "table": table},
            lines=(table,),
        )


def judge(
    inputs: Inputs, divisions: Sequence[NDArray[np.bool_]]
) -> dict[str, list[dict[str, float]]]:
    """The figures of every head in every split.

    Args:
        inputs: of all images.
        divisions: masks (N,), True for the images to train on.
    """
    found: dict[str, list[dict[str, float]]] = {}
    for seed, train in enumerate(divisions):
        for name, head in _methods(inputs).items():
            found.setdefault(name, []).append(_figures(inputs.labels[~train], head(train, seed)))
    return found


def _methods(inputs: Inputs) -> dict[str, Callable[[NDArray[np.bool_], int], NDArray[Any]]]:
    """Name -> function of the training mask and the seed, to probabilities of the other images."""
    usable = {n: s for n, s in HEADS.items() if inputs.maps is not None or s.get("head") != "csra"}
    identity = torch.eye(inputs.labels.shape[1])
    own = {
        name: partial(_own, inputs, settings, identity if name == CONTROL else None)
        for name, settings in usable.items()
    }
    return {**own, **{name: partial(_classic, inputs, one) for name, one in CLASSIC.items()}}


def _own(
    inputs: Inputs,
    settings: dict[str, Any],
    graph: torch.Tensor | None,
    train: NDArray[np.bool_],
    seed: int,
) -> NDArray[np.float32]:
    config = build(TrainConfig, {**load_recipe("strong"), **settings})
    on_maps = config.model.head == "csra"
    fit = partial(train_head, choice=config.optimization, loss=config.loss, seed=seed, graph=graph)
    model = config.model
    if on_maps and model.csra_lambda is None:  # chosen without the images that judge
        rows = np.flatnonzero(train)
        inner, held = np.zeros_like(train), np.zeros_like(train)
        part = divide(inputs.labels[rows], seed=seed)
        inner[rows[part]], held[rows[~part]] = True, True
        pair = (inputs.rows(one, on_maps=True) for one in (inner, held))
        head: Any = fit(*pair, model=model).head
        model = replace(model, csra_lambda=round(float(head.residual), 6))
    pair = (inputs.rows(one, on_maps=on_maps) for one in (train, ~train))
    return fit(*pair, model=model).val.probabilities()


def _classic(
    inputs: Inputs, method: Callable[..., NDArray[np.float64]], train: NDArray[np.bool_], seed: int
) -> NDArray[np.float64]:
    """A class with one kind of label in training is not learned: its frequency is its score."""
    known, other = inputs.rows(train), inputs.rows(~train)
    standard = measure_standard(known.values)
    x, v = (standard.of(part.values).double().numpy() for part in (known, other))
    y = (known.labels == 1).astype(np.int64)
    found = np.tile(y.mean(0), (len(v), 1))
    both = (y.min(0) == 0) & (y.max(0) == 1)
    with threadpool_limits(1):  # synchronizing threads takes longer than so little arithmetic
        found[:, both] = method(x, y[:, both], v, seed)
    return found


def _figures(labels: NDArray[np.int8], scores: NDArray[Any]) -> dict[str, float]:
    """mAP; F1 per image and the share of images without any error, at threshold 0.5."""
    judged = report(labels, scores.astype(np.float32), threshold=0.5)
    exact = ((labels < 0) | ((scores >= 0.5) == (labels == 1))).all(1).mean()
    values = (judged.mean_average_precision, judged.samples.f1, float(exact))
    return dict(zip(FIGURES, values, strict=True))


def divide(labels: NDArray[np.int8], *, seed: int) -> NDArray[np.bool_]:
    """A stratified mask (N,) of the images to train on, 70% of them."""
    order = np.random.default_rng(seed).permutation(len(labels))
    train = np.empty(len(labels), np.bool_)
    train[order] = stratify(labels[order] == 1, _FRACTION, seed=seed)
    return train


def markdown(found: Mapping[str, list[dict[str, float]]]) -> str:
    """The table of docs/training.md: means, and differences to the reference in pairs."""
    cells = [("head", "mAP", "diff.", "s.e.", "better in", "F1", "exact")]
    base = [one["map"] for one in found[REFERENCE]]
    for name, runs in found.items():
        mean = {figure: statistics.fmean(one[figure] for one in runs) for figure in FIGURES}
        paired = [one["map"] - other for one, other in zip(runs, base, strict=True)]
        error = statistics.stdev(paired) / math.sqrt(len(paired)) if len(paired) > 1 else math.nan
        wins = f"{sum(one > 0 for one in paired)} of {len(paired)}"
        pair = (f"{statistics.fmean(paired):+.3f}", f"{error:.3f}", wins)
        if name == REFERENCE:
            pair = ("", "", "")
        figures = (f"{mean['f1']:.3f}", f"{mean['exact']:.3f}")
        cells.append((name, f"{mean['map']:.3f}", *pair, *figures))
    head, *rest = (f"| {' | '.join(row)} |" for row in cells)
    return "\n".join((head, "|---" + "|---:" * 6 + "|", *rest))


def _packed(options: Options) -> Path:
    """The shards that `--images` names, or made of its VOC tree, or of drawn images."""
    source = options.source
    if source is not None and (source / MANIFEST).is_file():
        return source
    if source is None:
        source = options.scratch / "drawn"
        draw_voc(source, images=_DRAWN)
    product.pack(source, options.scratch / "heads-shards")
    return options.scratch / "heads-shards"


def _frozen(
    backbone: str, splits: Splits, classes: tuple[str, ...], labels: NDArray[np.int8]
) -> Inputs:
    """A backbone's features and maps, each computed once."""
    choice = OptimizationConfig()

    def computed(head: str) -> torch.Tensor:
        model = ModelConfig(backbone=backbone, weights=_weights(backbone), head=head)
        network, card = new_network(model, classes)
        decoding = product.own_decoding(card.preprocess, choice)
        with closing(decoding.loader):
            parts = frozen_features(network, splits, decoding, choice)
        return torch.cat([part.values for part in parts])

    try:
        maps = computed("csra")
    except CheckpointError:  # the backbone has no map
        maps = None
    return Inputs(computed(ModelConfig.head), maps, labels)


def _plain(splits: Splits, labels: NDArray[np.int8]) -> Inputs:
    """Features without a network."""
    images = decoded((*splits.train.images, *splits.val.images), Preprocess(size=256))
    return Inputs(torch.from_numpy(classic.hog_and_colors(images.numpy())), None, labels)


def _weights(backbone: str) -> str:
    """A file of the real data's weights that is called like the backbone, or 'imagenet'."""
    folder = real_voc().with_name("weights")
    files = sorted(folder.glob(f"{backbone.removeprefix('timm/')}-*"))
    return str(files[0]) if files else "imagenet"
