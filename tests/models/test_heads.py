"""Heads beyond a linear layer, beside their twins in NumPy and at their limits."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from vocscore.errors import CheckpointError
from vocscore.models.card import ModelCard
from vocscore.models.card_file import load_card
from vocscore.models.checkpoint import load_checkpoint, save_checkpoint
from vocscore.models.head_spec import HeadSpec, parse_head
from vocscore.models.heads import reference
from vocscore.models.heads.chain import Refinement
from vocscore.models.heads.class_maps import class_maps
from vocscore.models.heads.csra import ResidualAttention
from vocscore.models.heads.gcn import GraphProbe, label_graph
from vocscore.models.heads.maps import cut_before_pooling
from vocscore.models.network import Network, build_network, empty_network, with_head
from vocscore.pipeline.preprocess import Preprocess
from vocscore.runtime.features import Pooled
from vocscore.runtime.load import open_runtime

if TYPE_CHECKING:
    from pathlib import Path

FEATURES, CLASSES = 6, 4


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def attention(residual: float, temperature: float, *, unit: bool = False) -> ResidualAttention:
    head = ResidualAttention(FEATURES, CLASSES, residual=residual, temperature=temperature)
    weight = numbers(CLASSES, FEATURES, seed=1)
    head.weight.copy_(nn.functional.normalize(weight, dim=1) if unit else weight)
    head.bias.copy_(numbers(CLASSES, seed=2))
    return head


def close(found: torch.Tensor, expected: Any, *, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0, 99.0])
def test_csra_is_the_papers_formula_for_weights_of_norm_1(temperature: float) -> None:
    """The twin divides by the norm, so its weights may have any."""
    head, maps = attention(0.3, temperature, unit=True), numbers(5, FEATURES, 3, 2)
    expected = reference.csra(
        maps.double().numpy(),
        7 * head.weight.detach().double().numpy(),
        head.bias.detach().double().numpy(),
        residual=0.3,
        temperature=temperature,
    )
    close(head(maps), expected)


@pytest.mark.parametrize("temperature", [2.0, 99.0])
def test_csra_with_lambda_0_is_a_linear_head(temperature: float) -> None:
    head, maps = attention(0.0, temperature), numbers(5, FEATURES, 3, 2)
    linear = nn.functional.linear(maps.mean((2, 3)), head.weight, head.bias)
    close(head(maps), linear.detach(), tolerance=1e-6)


def test_csra_of_one_place_is_linear_for_every_lambda() -> None:
    """Mean, maximum and softmax of one number are that number."""
    maps = numbers(5, FEATURES, 1, 1)
    for temperature in (1.0, 99.0):
        head = attention(0.5, temperature)
        scores = nn.functional.linear(maps[:, :, 0, 0], head.weight)
        close(head(maps), (1.5 * scores + head.bias).detach())


def test_csra_attention_grows_from_mean_to_maximum() -> None:
    maps = numbers(8, FEATURES, 4, 4)
    logits = [attention(1.0, t)(maps) for t in (1e-6, 1.0, 2.0, 4.0, 99.0)]
    assert all((low <= high + 1e-5).all() for low, high in itertools.pairwise(logits))
    head = attention(1.0, 99.0)
    scores = torch.einsum("cf,nfhw->nchw", head.weight, maps)
    close(logits[0], (2 * scores.mean((2, 3)) + head.bias).detach(), tolerance=1e-4)
    close(logits[-1], (scores.mean((2, 3)) + scores.amax((2, 3)) + head.bias).detach())


@pytest.mark.parametrize("temperature", [2.0, 99.0])
def test_csra_takes_raw_maps_after_training_on_standardized_ones(temperature: float) -> None:
    head, maps = attention(0.3, temperature), 3 * numbers(5, FEATURES, 3, 2) + 2
    mean, scale = numbers(FEATURES, seed=3) + 2, torch.tensor(1.7)
    expected = head((maps - mean[:, None, None]) / scale).detach()
    head.load_state_dict(head.shifted(mean, scale))
    close(head(maps), expected)


def test_graph_of_labels_is_the_papers_edge_by_edge() -> None:
    """A label that is only difficult is no label."""
    generator = np.random.default_rng(0)
    labels = (generator.random((60, 5)) < 0.4).astype(np.int8)
    labels[:, 1] |= labels[:, 0]
    labels[generator.random(labels.shape) < 0.1] = -1
    labels[:, 4] = 0
    for threshold in (0.2, 0.4, 0.6):
        found = label_graph(torch.from_numpy(labels), threshold=threshold)
        expected = reference.gcn_graph(labels, threshold=threshold, share=0.25)
        close(found, expected, tolerance=1e-6)
        assert threshold > 0.5 or not np.allclose(expected, np.eye(5))


def test_graph_without_edges_is_the_identity() -> None:
    assert torch.equal(label_graph(torch.eye(4, dtype=torch.int8)), torch.eye(4))
    assert torch.equal(label_graph(torch.zeros(3, 4, dtype=torch.int8)), torch.eye(4))


def test_gcn_is_a_linear_head_with_the_weights_of_the_twin() -> None:
    """It starts at zero, and the identity couples no classes."""
    graph = label_graph(torch.tensor([[1, 1, 0], [1, 1, 1], [0, 0, 1]], dtype=torch.int8))
    probe = GraphProbe(FEATURES, graph=graph, seed=0)
    assert not probe.weight.any()
    nn.init.normal_(probe.second)
    first, second = (p.detach().double().numpy() for p in (probe.first, probe.second))
    expected = reference.gcn_weight(graph.double().numpy(), first, second)
    close(probe.weight, expected, tolerance=1e-4)
    features = numbers(5, FEATURES)
    linear = nn.functional.linear(features, probe.weight, probe.bias)
    assert torch.equal(probe(features), linear)
    alone = GraphProbe(FEATURES, graph=torch.eye(3), seed=0)
    alone.second.data.copy_(probe.second)
    before = alone.weight.detach().clone()
    alone.first.data[0] += 1
    assert (alone.weight != before).any(1).tolist() == [True, False, False]


@torch.no_grad()
def refinement() -> Refinement:
    head = Refinement(FEATURES, CLASSES)
    head.weight.copy_(numbers(CLASSES, FEATURES, seed=1))
    head.bias.copy_(numbers(CLASSES, seed=2))
    return head


def test_chain_without_coupling_is_a_linear_head_to_the_bit() -> None:
    head, features = refinement(), numbers(5, FEATURES)
    linear = nn.functional.linear(features, head.weight, head.bias)
    assert torch.equal(head(features), linear)
    assert not head.penalty().detach()


def test_chain_is_its_twin_and_no_class_confirms_itself() -> None:
    head, features = refinement(), numbers(5, FEATURES)
    head.coupling.data.copy_(numbers(CLASSES, CLASSES, seed=3))
    state = [p.detach().double().numpy() for p in (head.weight, head.bias, head.coupling)]
    close(head(features), reference.chain(features.double().numpy(), *state))
    head(features).sum().backward()
    assert not head.coupling.grad.diagonal().any()


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({"kind": "transformer"}, "head is 'transformer'"),
        ({"kind": "csra"}, "needs lambda and temperature"),
        ({"kind": "csra", "lambda": -1, "temperature": 1}, "lambda of the head is -1"),
        ({"kind": "csra", "lambda": 0.1, "temperature": 0}, "temperature of the head is 0"),
        ({"kind": "csra", "lambda": True, "temperature": 1}, "lambda of the head is True"),
        ({"kind": "csra", "lambda": float("nan"), "temperature": 1}, "lambda of the head is nan"),
        ({"lambda": 1}, "object with a kind"),
        (["csra"], "object with a kind"),
        ({"kind": "own", "arguments": 3}, "arguments of the head must be an object"),
    ],
)
def test_bad_heads_of_cards_are_named(value: Any, error: str) -> None:
    with pytest.raises((TypeError, ValueError), match=error):
        parse_head(value)


NETS = ["squeezenet1_1", "mobilenet_v2", "mnasnet0_5", "shufflenet_v2_x0_5"]


@pytest.mark.parametrize("backbone", NETS)
def test_a_cut_backbone_keeps_names_and_its_mean_is_the_features(backbone: str) -> None:
    made = empty_network(backbone, classes=2, size=64).eval()
    cut, features = cut_before_pooling(made.backbone, name=backbone, size=64)
    images = numbers(2, 3, 64, 64)
    with torch.inference_mode():
        maps, expected = cut(images), made.backbone(images)
    assert maps.shape[:2] == (2, features)
    assert maps.shape[2] > 1
    close(maps.mean((2, 3)), expected.numpy(), tolerance=1e-4)
    assert set(cut.state_dict()) == set(made.backbone.state_dict())


def test_a_map_is_found_before_other_layers() -> None:
    """MobileNetV3's features are computed from its map by another layer, which is left out."""
    name = "mobilenet_v3_small"
    made = empty_network(name, classes=2, size=64).eval()
    cut, features = cut_before_pooling(made.backbone, name=name, size=64)
    images = numbers(1, 3, 64, 64)
    with torch.inference_mode():
        assert features == 576
        assert torch.equal(cut(images), made.backbone.features(images))
    with pytest.raises(CheckpointError, match=f"'{name}' has layers between its map"):
        class_maps(made.backbone, made.head, name=name, size=64)


@pytest.mark.parametrize("backbone", ["timm/test_resnet", "timm/test_vit"])
def test_maps_of_timm(backbone: str) -> None:
    """A vision transformer's tokens become a map; names stay."""
    network = empty_network(backbone, classes=3, size=160)
    names = {name for name in network.state_dict() if name.startswith("backbone.")}
    spec = HeadSpec("csra", residual=0.3)
    network = with_head(network, spec, backbone=backbone, size=160).eval()
    assert {n for n in network.state_dict() if n.startswith("backbone.")} == names
    with torch.inference_mode():
        maps = network.backbone(numbers(2, 3, 160, 160))
        assert maps.shape[1] == network.head.in_features
        assert maps.shape[2] == maps.shape[3] > 1
        assert network(numbers(2, 3, 160, 160)).shape == (2, 3)


def test_tokens_become_maps_in_batches_of_any_size() -> None:
    """In OpenVINO, too: the conversion sees one image, a run has many."""
    network = empty_network("timm/test_vit", classes=3, size=160)
    network = with_head(
        network, HeadSpec("csra", residual=0.3), backbone="timm/test_vit", size=160
    ).eval()
    nn.init.normal_(network.head.weight, std=0.2)
    card = ModelCard("timm/test_vit", ("a", "b", "c"), Preprocess(size=160), 0.5, "none")
    images = torch.randint(0, 256, (3, 3, 160, 160), dtype=torch.uint8)
    with torch.inference_mode():
        logits = network(card.preprocess.normalize(images))
    found = open_runtime(network, card, device="cpu", group=3).submit(images)()
    np.testing.assert_allclose(found, torch.sigmoid(logits).numpy(), rtol=0, atol=1e-4)


def test_a_backbone_without_a_map_is_one_clear_line() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5))
    with pytest.raises(CheckpointError, match=r"'flat' has no map of places .* `head='linear'`"):
        cut_before_pooling(flat, name="flat", size=8)


def network_with(spec: HeadSpec | None) -> tuple[Network, ModelCard]:
    torch.manual_seed(0)
    network = build_network("squeezenet1_1", classes=3, weights="none", size=64)
    network = with_head(network, spec, backbone="squeezenet1_1", size=64)
    for values in network.head.parameters():
        nn.init.normal_(values, std=0.2)
    card = ModelCard(
        "squeezenet1_1",
        ("a", "b", "c"),
        Preprocess(size=64),
        0.5,
        "none",
        head={} if spec is None else spec.to_json(),
    )
    return network.eval(), card


@pytest.mark.parametrize(
    "spec", [HeadSpec("csra", residual=0.3, temperature=2.0), HeadSpec("chain"), None]
)
def test_checkpoints_keep_the_head(spec: HeadSpec | None, tmp_path: Path) -> None:
    """Old versions refuse those that are not linear; a linear one is as before."""
    network, card = network_with(spec)
    save_checkpoint(tmp_path, network, card)
    loaded, read = load_checkpoint(tmp_path)
    assert (read, read.head_spec) == (card, spec)
    assert load_card(tmp_path).format == (1 if spec is None else 3)
    assert ('"head"' in (tmp_path / "model.json").read_text()) == (spec is not None)
    images = numbers(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(loaded(images), network(images))
        features = Pooled(loaded.backbone)(images)
    assert features.shape == (2, 512)


def test_the_lambda_of_a_card_is_that_of_the_weights(tmp_path: Path) -> None:
    """Changed in the card alone it would be shown, and have no effect."""
    save_checkpoint(tmp_path, *network_with(HeadSpec("csra", residual=0.3)))
    file = tmp_path / "model.json"
    file.write_text(file.read_text().replace('"lambda": 0.3', '"lambda": 0.0'))
    with pytest.raises(CheckpointError, match=r"lambda is 0, but .* trained with 0\.3"):
        load_checkpoint(tmp_path)


def test_a_card_with_an_unknown_head_is_one_clear_line(tmp_path: Path) -> None:
    network, card = network_with(HeadSpec("chain"))
    save_checkpoint(tmp_path, network, card)
    file = tmp_path / "model.json"
    file.write_text(file.read_text().replace('"chain"', '"forest"'))
    with pytest.raises(CheckpointError, match=r"model\.json: not a model card \(head is 'forest'"):
        load_card(tmp_path)


@pytest.mark.parametrize(
    "spec",
    [
        HeadSpec("csra", residual=0.3),
        HeadSpec("csra", residual=0.3, temperature=2.0),
        HeadSpec("chain"),
    ],
)
def test_openvino_computes_the_same(spec: HeadSpec) -> None:
    """Within 1e-4 of PyTorch's probabilities."""
    network, card = network_with(spec)
    images = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        logits = network(card.preprocess.normalize(images))
    found = open_runtime(network, card, device="cpu", group=3).submit(images)()
    np.testing.assert_allclose(found, torch.sigmoid(logits).numpy(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("spec", [HeadSpec("csra", residual=0.0), HeadSpec("chain"), None])
def test_the_mean_of_a_class_map_is_the_logit(spec: HeadSpec | None) -> None:
    """Without attention, and before a refinement."""
    network, card = network_with(spec)
    if isinstance(network.head, Refinement):
        nn.init.zeros_(network.head.coupling)
    maps = class_maps(network.backbone, network.head, name=card.backbone, size=64)
    images = numbers(2, 3, 64, 64)
    with torch.inference_mode():
        close(maps(images).mean((2, 3)), network(images).numpy(), tolerance=1e-4)
