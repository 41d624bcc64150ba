"""Scoring on a cluster, without one: what a machine refuses, and how its errors read."""

from __future__ import annotations

import pickle
import socket
from dataclasses import replace
from importlib.metadata import version

import pytest

from shards.images import budget
from vocscore.config.cluster import ClusterConfig
from vocscore.config.jobs import JobsConfig
from vocscore.config.scoring import InferenceConfig, ScoreConfig
from vocscore.errors import CheckpointError, OptionError, ScoreError
from vocscore.scoring.engines import factory
from vocscore.scoring.engines.cluster import ClusterJob, ClusterOpener, seen_files
from vocscore.scoring.engines.factory import EngineOpener
from vocscore.scoring.inputs.sources import read_source

HOST = socket.gethostname()


@pytest.fixture
def opener(tmp_path):
    engine = EngineOpener(
        checkpoint=tmp_path / "run",
        identity="a" * 64,
        loader="auto",
        device="cpu",
        precision="auto",
        batch_size=4,
        threads=1,
        max_pixels=1000,
    )
    return ClusterOpener(engine, 1, (), version("vocscore"))


def test_a_machine_without_the_model_is_named(opener, tmp_path):
    """One line, with the machine and the path."""
    with pytest.raises(ScoreError) as caught:
        ClusterJob(opener).open()
    line = str(caught.value)
    assert line.startswith(f"node {HOST}: {tmp_path / 'run'}")
    assert "needs the model and the images under the same paths" in line
    assert "\n" not in line


def test_a_machine_without_the_images_is_named(opener, tmp_path):
    """Instead of an error row for every image."""
    job = ClusterJob(replace(opener, sees=(str(tmp_path / "images" / "a.jpg"),)))
    with pytest.raises(ScoreError, match=rf"^node {HOST}: .*a\.jpg: not found\. Every machine"):
        job.open()


def test_another_version_of_the_program_is_named(opener):
    """Units and rows could mean something else there."""
    job = ClusterJob(replace(opener, program="0.0.1"))
    with pytest.raises(ScoreError, match=r"instead of 0\.0\.1\. Every machine"):
        job.open()


def test_sight_is_lost_with_the_folder_and_not_with_one_image(opener, tmp_path):
    """One image may go; an empty folder, or none, is a mount that is gone."""
    folder = tmp_path / "images"
    folder.mkdir()
    one = replace(opener, sees=(str(folder / "a.jpg"),))
    assert one.sight_is_lost()
    (folder / "b.jpg").touch()
    assert not one.sight_is_lost()
    assert replace(opener, sees=(str(tmp_path / "no" / "a.jpg"),)).sight_is_lost()


def test_a_file_of_the_inputs_is_looked_for_by_its_absolute_path(tmp_path, monkeypatch):
    """A folder that is named relatively is another one on another machine."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(b"\xff\xd8\xff")
    monkeypatch.chdir(tmp_path)
    assert seen_files(read_source("images"), 8) == (str(tmp_path / "images" / "a.jpg"),)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"on": "cluster"}, "`on='cluster'`: name 'ray', HOST:PORT or ray://HOST:PORT."),
        ({"processes": 2}, "`processes` needs `on`. Add it."),
    ],
)
def test_options_of_a_cluster(options, line):
    """Contradictions are one line."""
    with pytest.raises(OptionError) as caught:
        ClusterConfig(**options)
    assert str(caught.value) == line


def test_machines_are_mixed_on_a_cluster_or_among_jobs():
    """Elsewhere there is only one."""
    mixed = ClusterConfig(mixed_machines=True)
    with pytest.raises(OptionError, match=r"`mixed_machines` needs `on` or `units`\."):
        ScoreConfig(cluster=mixed)
    assert ScoreConfig(cluster=mixed, jobs=JobsConfig(units="1/2")).cluster.mixed_machines


@pytest.mark.parametrize("on", ["ray", "head:6379", "10.0.0.1:6379", "ray://head:10001"])
def test_addresses(on):
    """The three forms."""
    assert ClusterConfig(on=on).on == on


def test_devices_of_this_machine_and_a_cluster_exclude_each_other():
    """Ray chooses the GPU of each process."""
    cluster = ClusterConfig(on="ray")
    with pytest.raises(OptionError, match="a cluster has its own"):
        ScoreConfig(cluster=cluster, compute=InferenceConfig(devices=("cpu", "cpu")))
    with pytest.raises(OptionError, match="Ray chooses the GPU"):
        ScoreConfig(cluster=cluster, compute=InferenceConfig(device="cuda:1"))
    assert ScoreConfig(cluster=cluster, compute=InferenceConfig(device="cuda"))


def test_memory_for_images_is_divided_among_workers(opener, monkeypatch):
    """Processes of this machine by their number; on a cluster by the cores of the machine."""
    made = []
    monkeypatch.setattr(factory, "ProcessEngine", made.extend)
    template = replace(opener.engine, image_memory=600, threads=8)
    factory.open_workers(template, ["cpu"] * 3)
    assert [pickle.loads(pickle.dumps(one)).engine.image_memory for one in made] == [200] * 3

    monkeypatch.setattr("vocscore.machine.usable_cores", lambda: 16)
    monkeypatch.setattr("vocscore.models.card_file.load_card", lambda _folder: None)
    monkeypatch.setattr("vocscore.runtime.precision.resolve_precision", lambda *_, **__: "float32")
    assert replace(opener, engine=template, cores=4)._resolved().image_memory == 150


def test_a_worker_bounds_its_images(opener):
    """When it opens its engine, even before it finds that there is no model."""
    try:
        with pytest.raises(CheckpointError):
            replace(opener.engine, image_memory=100).open()
        assert budget.PIXELS.limit == 75 << 20
    finally:
        budget.set_limit(budget.LIMIT)
