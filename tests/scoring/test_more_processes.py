"""Several processes are started only where one cannot use the cores, and write the same bytes."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import replace
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from tiny_network import make_checkpoint, make_images

from vocscore.cli.main import main
from vocscore.config.compute import DecodeConfig
from vocscore.config.scoring import InferenceConfig, ScoreConfig, UpdateConfig
from vocscore.pipeline.preprocess import Preprocess
from vocscore.scoring import ceilings
from vocscore.scoring.ceilings import Ceilings
from vocscore.scoring.engines import more_processes
from vocscore.scoring.engines.factory import EngineOpener
from vocscore.scoring.engines.local import LocalEngine
from vocscore.scoring.engines.more_processes import Feeding, with_more_processes
from vocscore.scoring.engines.opened import OpenedEngine
from vocscore.scoring.inputs.globs import EVERYTHING
from vocscore.scoring.inputs.sources import read_source

LIGHT = Feeding(8, seconds=0.001, limit=2000)
"""One process feeds two of eight cores."""


@pytest.mark.parametrize(
    ("one", "decode", "model", "feeds", "processes"),
    [
        (700, 11_000, 1500, 119.7, 1),
        (700, 2900, 1500, 31.6, 1),
        (700, 2900, 12_000, 7.2, 3),
    ],
    ids=["no limit in sight", "a heavy network", "a light network"],
)
def test_one_process_feeds_the_limit_times_the_work_per_image(one, decode, model, feeds, processes):
    """16 cores: decoding by one thread, and the network by all of them, make the work."""
    found = Feeding.of(one, Ceilings(read=1e6, decode=decode, model=model), 16)
    assert found.feeds == pytest.approx(0.9 * decode * (1 / one + 16 / model), rel=1e-6)
    assert found.feeds == pytest.approx(feeds, abs=0.1)
    assert found.processes == processes


@pytest.mark.parametrize(
    ("cores", "feeds", "processes"),
    [(16, 16, 1), (16, 13, 1), (16, 12.5, 2), (16, 8, 2), (64, 30, 3), (2, 0.1, 1), (16, 1, 4)],
)
def test_processes_are_the_cores_over_those_that_one_feeds(cores, feeds, processes):
    """Rounded up; one, if a second would bring less than a quarter; each has four cores."""
    assert Feeding(cores, feeds / 1000, 1000).processes == processes


def test_what_is_said_names_the_cores_and_the_way_back():
    """'2 on 64 cores, because one can feed 40 of them (`device='cpu'`: one process)'."""
    feeding = Feeding(64, 0.0405, 1000)
    assert feeding.told(feeding.processes) == (
        "2 on 64 cores, because one can feed 40 of them (`device='cpu'`: one process)"
    )


@pytest.fixture
def many_cores(monkeypatch):
    """Eight cores, plenty of memory, and a run that is long enough with five images."""
    monkeypatch.setattr(more_processes, "usable_cores", lambda: 8)
    monkeypatch.setattr(more_processes, "available_memory", lambda: 1 << 40)
    monkeypatch.setattr(more_processes, "LEAST_IMAGES", 5)
    monkeypatch.setattr(more_processes, "LEAST_UNITS", 1)
    monkeypatch.setattr(more_processes, "_measure", lambda *_: LIGHT)


def opened_engine(loader="HostLoader", device="cpu"):
    """An engine that must not be closed."""
    opener = SimpleNamespace(device=device, image_memory=1024)
    return OpenedEngine(SimpleNamespace(loader=loader), opener)


def decided(opened, *, allowed=True, images=5, done=0, **config):
    """What becomes of an engine; `config` has groups of options."""
    inputs = SimpleNamespace(images=images, units=lambda _size: iter(range(9)))
    with ExitStack() as held:
        return with_more_processes(
            *(opened, replace(ScoreConfig(), **config), Preprocess()),
            allowed=allowed,
            inputs=inputs,
            done=done,
            held=held,
            stage=lambda _name: None,
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"allowed": False},
        {"images": 4},
        {"images": None},
        {"done": 1},
        {"compute": InferenceConfig(device="cpu")},
        {"compute": InferenceConfig(devices=("cpu",))},
        {"compute": InferenceConfig(workers=8)},
        {"update": UpdateConfig(update=True)},
    ],
    ids=lambda changes: ", ".join(map(str, changes.items())),
)
def test_one_process_where_it_was_asked_for_or_the_run_is_short(many_cores, changes):
    """Nothing is measured then, and the engine stays as it is."""
    opened = opened_engine()
    assert decided(opened, **changes) is opened


@pytest.mark.parametrize("engine", [{"loader": "ReferenceLoader"}, {"device": "cuda:0"}])
def test_one_process_with_another_loader_or_a_gpu(many_cores, engine):
    """What was measured holds for the host loader on a CPU."""
    opened = opened_engine(**engine)
    assert decided(opened) is opened


def test_one_process_where_memory_is_short_or_unknown(many_cores, monkeypatch):
    """Each process has a network and images in memory."""
    opened = opened_engine()
    for free in (None, 2 << 30):
        monkeypatch.setattr(more_processes, "available_memory", lambda free=free: free)
        assert decided(opened) is opened


def test_as_many_as_the_rule_says(many_cores, monkeypatch):
    """The old engine is closed, then the workers start; they are closed at the end."""
    told = []
    opened = replace(
        opened_engine(), engine=SimpleNamespace(loader="HostLoader", close=told.append)
    )
    opened.engine.close = lambda: told.append("closed")
    workers = SimpleNamespace(close=lambda: told.append("workers closed"))

    def start(opener, devices):
        told.append((opener, devices))
        return workers

    monkeypatch.setattr("vocscore.scoring.engines.factory.open_workers", start)
    found = decided(opened)
    number = LIGHT.processes
    assert number == 2
    assert told == ["closed", (opened.opener, ["cpu"] * number), "workers closed"]
    assert (found.engine, found.devices) == (workers, number)
    assert found.processes == LIGHT.told(number)


def test_one_thread_is_measured_and_then_all(tmp_path, monkeypatch):
    """With the preprocessing of the run; the network is measured as it is."""
    monkeypatch.setattr("vocscore.scoring.ceilings.SECONDS_PER_STAGE", 0.01)
    folder = make_images(tmp_path, [f"{n}.jpg" for n in range(4)], bad=[])
    opener = EngineOpener(
        checkpoint=tmp_path,
        identity="",
        loader="host",
        device="cpu",
        precision="float32",
        batch_size=2,
        threads=3,
        max_pixels=DecodeConfig.max_pixels,
    )
    unit = next(read_source(folder, globs=EVERYTHING).units(10))
    threads, rates = [], iter([1000.0, 3000.0])

    def rate(images, loader):
        threads.append(len(loader._crew._threads))
        assert {batch.images.shape for batch in loader.batches(images)} == {(2, 3, 32, 32)}
        return next(rates)

    monkeypatch.setattr(more_processes, "decode_rate", rate)
    monkeypatch.setattr(ceilings, "decode_rate", rate)
    with closing(opener.open_loader(Preprocess(size=32))) as loader:
        engine = LocalEngine(loader, SimpleNamespace(ceiling=lambda _images: 500.0), classes=1)
        opened = OpenedEngine(engine, opener)
        found = more_processes._measure(opened, Preprocess(size=32), unit, 3)
    assert threads == [1, 3]
    assert found == Feeding(3, 1 / 1000 + 3 / 500, 0.9 * 3000)


@pytest.mark.slow
@pytest.mark.exclusive
def test_bytes_are_those_of_one_process_and_the_summary_says_why(many_cores, voc_tree, tmp_path):
    """The command starts processes by itself; `--device cpu` starts none."""
    checkpoint = make_checkpoint(tmp_path / "run", backbone="squeezenet1_1")
    words = ["score", str(voc_tree / "JPEGImages"), "-m", str(checkpoint), "--unit-size", "8"]
    done = {}
    for name, more in (("many", []), ("one", ["--device", "cpu"])):
        output = tmp_path / f"{name}.csv"
        done[name] = CliRunner().invoke(main, [*words, "-o", str(output), *more])
        assert done[name].exit_code == 0, done[name].output
    assert "processes: 2 on 8 cores, because one can feed 2 of them" in done["many"].stdout
    assert "processes" not in done["one"].stdout
    assert (tmp_path / "many.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
