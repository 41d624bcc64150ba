"""The contest of heads: its methods beside brute force, its pairs, its table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from bench import classic, heads, report
from bench.heads import CLASSIC, HEADS, REFERENCE, Inputs, divide, judge, markdown
from bench.results import FOLDER

if TYPE_CHECKING:
    from bench.contests import Options


def some_inputs(*, maps: bool) -> Inputs:
    generator = np.random.default_rng(0)
    values = torch.from_numpy(generator.normal(size=(30, 6, 2, 2))).float()
    labels = (values.mean((2, 3))[:, :4].numpy() > 0.1).astype(np.int8)
    labels[generator.random(labels.shape) < 0.05] = -1
    return Inputs(values.mean((2, 3)), values.half() if maps else None, labels)


def test_every_head_in_every_split() -> None:
    """One figure per head and split, from probabilities; without maps all but csra."""
    short = {name: {**settings, "epochs": 2, "batch_size": 50} for name, settings in HEADS.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "HEADS", short)
        for maps in (True, False):
            inputs = some_inputs(maps=maps)
            found = judge(inputs, [divide(inputs.labels, seed=seed) for seed in range(1)])
            expected = {n for n in HEADS if maps or not n.startswith("csra")} | set(CLASSIC)
            assert set(found) == expected
            assert all(len(runs) == 1 and 0 <= runs[0]["map"] <= 1 for runs in found.values())


def test_pairs_and_table() -> None:
    """Mean difference, its standard error and the wins."""
    base = [{"map": value, "f1": 0.5, "exact": 0.25} for value in (0.5, 0.6, 0.7, 0.8)]
    other = [
        {**one, "map": one["map"] + d} for one, d in zip(base, (0.1, 0.0, 0.1, 0.2), strict=True)
    ]
    found = {REFERENCE: base, "gcn, identity (control)": other}
    error = np.std([0.1, 0.0, 0.1, 0.2], ddof=1) / 2
    assert f"| 0.750 | +0.100 | {error:.3f} | 3 of 4 | 0.500 | 0.250 |" in markdown(found)


def test_ml_knn_is_its_definition() -> None:
    """Beside loops that count neighbors as the paper does."""
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(40, 3)), generator.integers(0, 2, (40, 2))
    v, k = generator.normal(size=(7, 3)), 10
    found = classic.ml_knn(x, y, v, 0)
    for c in range(2):
        prior = (1 + y[:, c].sum()) / (2 + 40)
        table = np.zeros((2, k + 1))
        for i in range(40):
            near = np.argsort(((x - x[i]) ** 2).sum(1))[1 : k + 1]
            table[y[i, c], y[near, c].sum()] += 1
        for j in range(7):
            n = y[np.argsort(((x - v[j]) ** 2).sum(1))[:k], c].sum()
            shown, absent = ((1 + table[b, n]) / (k + 1 + table[b].sum()) for b in (1, 0))
            expected = prior * shown / (prior * shown + (1 - prior) * absent)
            assert found[j, c] == pytest.approx(expected)


def test_edges_and_colors_are_seen() -> None:
    """Stripes change the orientations and not the colors; another color, the reverse."""
    images = np.zeros((3, 3, 64, 64), np.uint8)
    images[0, :, ::2], images[1, :, :, ::2] = 200, 200
    images[2, 0] = 200
    found = classic.hog_and_colors(images)
    assert found.shape == (3, 4 * 9 + 64)
    assert np.isfinite(found).all()
    assert (found[0, -64:] == found[1, -64:]).all()
    assert (found[0, :-64] != found[1, :-64]).any()
    assert not found[2, :-64].any()


def test_contest_without_a_network(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """The outcomes name backbone and splits, and carry the raw figures and the table."""
    monkeypatch.setattr(heads, "DEFAULTS", ())
    monkeypatch.setattr(heads, "BACKBONES", options.backbones)
    monkeypatch.setattr(heads, "CLASSIC", {"ML-kNN": classic.ml_knn})
    monkeypatch.setattr(heads, "HEADS", {REFERENCE: {"solver": "sgd", "epochs": 2}})
    shards = options.checkpoints["resnet18"].shards
    (outcome,) = heads.run(heads.replace(options, source=shards, splits=2))
    assert outcome.key["backbone"] == heads.HOG
    runs = outcome.facts["runs"]
    assert isinstance(runs, dict)
    assert {len(one) for one in runs.values()} == {2}


def test_published_tables_are_those_of_the_rows() -> None:
    """docs/training.md has the table of every saved row, and each follows from its raw figures."""
    page = (report.ROOT / "docs/training.md").read_text()
    rows = [json.loads(line) for line in (FOLDER / "heads.jsonl").read_text().splitlines()]
    assert len(rows) == 3
    for row in rows:
        assert markdown(row["facts"]["runs"]) == row["facts"]["table"]
        assert row["facts"]["table"] in page
