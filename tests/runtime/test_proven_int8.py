"""A quantized model that OpenVINO built wrong is never used, and never cached."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from vocscore.errors import DeviceError
from vocscore.models.network import build_network
from vocscore.pipeline.preprocess import Preprocess
from vocscore.runtime import proven_int8
from vocscore.runtime.compile_cache import folder, load_or_compile
from vocscore.runtime.int8 import quantize
from vocscore.runtime.openvino import OpenVinoRuntime, shape_for
from vocscore.runtime.openvino_graph import convert
from vocscore.runtime.proven_int8 import (
    ATTEMPTS,
    compile_proven,
    dump_proven,
    load_proven,
    synthetic_images,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vocscore.runtime.proven_int8 import ProvenModel

STREAMS = 3
SHAPE = shape_for(group=4, size=32, precision="int8", cores=STREAMS)
ROUND = 1 + STREAMS
"""Models that one attempt builds: the reference, and then the streams."""


class Built:
    """A compiled model whose outputs are the images' means and, if it is wrong, other numbers."""

    def __init__(self, wrong: float) -> None:
        self.wrong = wrong
        self.runs = 0

    def create_infer_request(self) -> SimpleNamespace:
        """A request as OpenVINO has it."""
        request = SimpleNamespace(wait=lambda: None)
        request.set_input_tensor = partial(setattr, request, "pixels")
        request.start_async = partial(self._run, request)
        return request

    def _run(self, request: SimpleNamespace) -> None:
        self.runs += 1
        outputs = request.pixels.data.mean(axis=(1, 2), dtype=np.float32)
        outputs[-1, -1] += self.wrong * 255
        request.get_output_tensor = lambda: SimpleNamespace(data=outputs)


class Compiler:
    """OpenVINO's compiler and its import; the models of some numbers come out wrong."""

    def __init__(self) -> None:
        self.wrong: Callable[[int], bool] = lambda _number: False
        self.by = 0.2
        self.built: list[Built] = []

    def build(self, _source: object, *, shape: object) -> Built:
        """Build the next model."""
        assert shape == SHAPE.one_stream
        self.built.append(Built(self.by if self.wrong(len(self.built)) else 0.0))
        return self.built[-1]


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Compiler:
    """The compiler that the module uses."""
    made = Compiler()
    monkeypatch.setattr(proven_int8, "compile_model", made.build)
    monkeypatch.setattr(proven_int8, "load", made.build)
    monkeypatch.setattr(proven_int8, "dump", lambda _compiled: b"compiled")
    return made


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = folder()
    assert found is not None
    return found


def opened() -> ProvenModel:
    """What scoring opens: from the cache, or compiled."""
    return load_or_compile(
        "model",
        load=partial(load_proven, shape=SHAPE),
        make=lambda: compile_proven("graph", shape=SHAPE),
        dump=dump_proven,
    )


def test_a_right_model_is_built_once_and_every_stream_is_checked(compiler: Compiler) -> None:
    """The reference comes from a compilation of its own."""
    model = compile_proven("graph", shape=SHAPE)
    assert list(model.streams) == compiler.built[1:]
    assert [built.runs for built in compiler.built] == [1] * ROUND


@pytest.mark.parametrize("number", range(ROUND))
@pytest.mark.parametrize("by", [0.2, 0.01, np.nan])
def test_a_wrong_model_is_compiled_again(compiler: Compiler, number: int, by: float) -> None:
    """Whichever stream is wrong, or the reference, by little or as NaN: nothing of it is used."""
    compiler.wrong, compiler.by = (lambda built: built == number), by
    model = compile_proven("graph", shape=SHAPE)
    assert list(model.streams) == compiler.built[ROUND + 1 :]
    assert not any(built.wrong for built in model.streams)


def test_a_model_that_stays_wrong_is_refused(compiler: Compiler, cache: Path) -> None:
    """After a few compilations, with what to do; and the cache is empty."""
    compiler.wrong = lambda number: number % ROUND == ROUND - 1
    with pytest.raises(DeviceError, match="Use `precision='bf16'` or `precision='float32'`"):
        opened()
    assert len(compiler.built) == ATTEMPTS * ROUND
    assert not list(cache.glob("*.blob"))


def test_only_a_right_model_is_cached(compiler: Compiler, cache: Path) -> None:
    """The first compilation was wrong: the second one's reference is what the next start reads."""
    compiler.wrong = lambda number: number == 0
    model = opened()
    (file,) = cache.glob("*.blob")
    assert file.read_bytes().endswith(dump_proven(model))
    again = opened()
    assert list(again.streams) == compiler.built[2 * ROUND :]
    assert [built.runs for built in again.streams] == [1] * STREAMS
    np.testing.assert_array_equal(again.reference, model.reference)


@pytest.mark.parametrize("stream", range(STREAMS))
def test_a_model_that_is_restored_wrong_is_compiled_again(
    compiler: Compiler, cache: Path, stream: int
) -> None:
    """Reading a compiled model goes wrong as often as compiling it: each stream is checked."""
    opened()
    (file,) = cache.glob("*.blob")
    cached = file.read_bytes()
    compiler.wrong = lambda number: number == ROUND + stream
    model = opened()
    assert list(model.streams) == compiler.built[ROUND + STREAMS + 1 :]
    assert file.read_bytes() == cached


def test_the_images_of_the_check_differ_and_stay() -> None:
    """Each row is another image, from noise to large areas; every call makes the same ones."""
    images = synthetic_images(SHAPE)
    assert images.shape == (4, 32, 32, 3)
    assert len({image.tobytes() for image in images}) == 4
    np.testing.assert_array_equal(images, synthetic_images(SHAPE))


@pytest.fixture(scope="module")
def graph():
    """A quantized SqueezeNet, with untrained weights."""
    preprocess = Preprocess(size=64, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = build_network("squeezenet1_1", classes=3, weights="none", size=64)
        torch.nn.init.normal_(network.head.weight, std=0.1)
    shape = shape_for(group=8, size=64, precision="float32", cores=1)
    made = convert(network.eval(), preprocess, shape=shape)
    return quantize(made, [synthetic_images(shape)], preset="performance")


@pytest.mark.slow
def test_thirty_compilations_are_right(graph) -> None:
    """All compute the same bits, in whatever order the streams get the batches.

    Compiled for two streams at once, 12 of 80 were wrong.
    """
    shape = shape_for(group=8, size=64, precision="int8", cores=2)
    images = torch.randint(
        0, 256, (48, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    one = compile_proven(graph, shape=shape.one_stream)
    expected = OpenVinoRuntime(one.streams, shape=shape.one_stream).probabilities(images)
    assert expected.std(axis=0).min() > 0, "the rows must differ, or this test shows nothing"
    for number in range(30):
        model = compile_proven(graph, shape=shape)
        if number % 2:
            model = load_proven(dump_proven(model), shape=shape)
        found = OpenVinoRuntime(model.streams, shape=shape).probabilities(images)
        np.testing.assert_array_equal(found, expected)
