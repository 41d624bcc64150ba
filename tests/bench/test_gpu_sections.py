"""What `bench gpu` adds to the other contests, tried out on the CPU: engines, and raw scoring."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
import torch

from bench import gpu, gpu_decoding, raw, score
from bench.gpu_decoding import CHECK, HOST, ROUTED, graph
from bench.timing import Rate

if TYPE_CHECKING:
    from bench.contests import Options
    from vocscore.pipeline.dali_decoder import Decoder


def test_every_decoder_has_a_rate(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """Host, loader, check, and the graph with both shares for the engines; pixels agree."""
    monkeypatch.setattr(gpu_decoding, "IMAGES", {"thumbnails": 128})
    (outcome,) = gpu_decoding.run(replace(options, images=None))
    assert set(outcome.rates) == {HOST, ROUTED, CHECK, graph(0.65), graph(1.0)}
    assert outcome.facts["pixels"] == 120 * 90
    assert outcome.facts["jpeg_engines"] is None
    mean = outcome.facts["mean_gray_levels"]
    assert isinstance(mean, float)
    assert mean < 1
    assert outcome.key == {"kind": "thumbnails", "part": "engines"}


def test_other_pixels_are_no_contest(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is timed."""
    monkeypatch.setattr(gpu_decoding, "IMAGES", {"thumbnails": 128})
    monkeypatch.setattr(gpu_decoding, "MOST_MEAN", 0.001)
    with pytest.raises(ValueError, match="gray levels between the graph and the host"):
        next(gpu_decoding.run(options))


class Queue:
    """A decoder of numbers: it collects in the order of submission, at most three batches late."""

    def __init__(self, *, fails_at: int = -1) -> None:
        self.waiting: list[list[bytes]] = []
        self.seen: list[bytes] = []
        self.most = 0
        self.fails_at = fails_at

    def submit(self, data: list[bytes]) -> None:
        self.waiting.append(data)
        self.most = max(self.most, len(self.waiting))

    def collect(self) -> torch.Tensor | None:
        self.seen += self.waiting.pop(0)
        return None if len(self.seen) >= self.fails_at > 0 else torch.zeros(self.last)

    @property
    def last(self) -> int:
        return (len(self.seen) - 1) % gpu_decoding.BATCH + 1


@pytest.mark.parametrize("number", [0, 1, 64, 65, 128, 500])
def test_the_graph_alone_decodes_every_file_once(number: int) -> None:
    """In order, with as many batches in flight as the loader has."""
    queue, data = Queue(), [bytes([n % 256]) for n in range(number)]
    assert gpu_decoding.decode(cast("Decoder", queue), data, "cpu") == number
    assert queue.seen == data
    assert queue.most <= 3


def test_a_graph_that_fails_has_no_rate() -> None:
    """An error, not a rate of the tolerant way."""
    queue = Queue(fails_at=100)
    with pytest.raises(ValueError, match="could not decode"):
        gpu_decoding.decode(cast("Decoder", queue), [b"x"] * 200, "cpu")


@pytest.mark.parametrize(
    ("host", "routed", "check", "alone", "lines"),
    [
        (940.0, 930.0, 640.0, 340.0, ("the host (940 and 340", "99% of the faster one", "held")),
        (9e3, 20e3, 25e3, 21e3, ("the graph with the check (9000 and 21000", "95% of", "held")),
        (9e3, 9e3, 25e3, 21e3, ("the graph with the check (9000 and 21000", "43% of", "MISSED")),
    ],
)
def test_the_lines_say_who_is_faster_and_what_was_chosen(
    host: float, routed: float, check: float, alone: float, lines: tuple[str, ...]
) -> None:
    """The graph needs the check first: the slower of the two counts."""
    values = {HOST: host, ROUTED: routed, CHECK: check, graph(0.65): alone / 2, graph(1.0): alone}
    rates = {name: Rate((value,)) for name, value in values.items()}
    said = list(gpu_decoding._lines(rates, 12e6, 7))
    assert said[0] == "JPEG engines: 7"
    for one in lines:
        assert any(one in line for line in said)


def test_raw_shards_to_a_csv_beside_loading_and_the_network(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every contestant has a rate; the slower stage is the ceiling."""
    small = options.checkpoint(gpu.BACKBONE).load()[1].preprocess
    monkeypatch.setattr(raw, "Preprocess", lambda: small)
    (outcome,) = gpu.score_raw(replace(options, images=6))
    stages = {score.DECODE, score.ceiling("default")}
    assert set(outcome.rates) == {*stages, score.ours("default")}
    assert outcome.ceilings[score.ours("default")] in stages
