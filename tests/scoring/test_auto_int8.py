"""`--precision auto` with a quantized model: one choice for all that belongs to a run."""

from __future__ import annotations

import json
import shutil

import pytest
from tiny_int8 import quantize_tiny
from tiny_network import make_checkpoint, make_images, run

from vocscore.config.groups import build
from vocscore.config.jobs import MergeConfig
from vocscore.config.scoring import ScoreConfig
from vocscore.errors import CheckpointError, ScoreError
from vocscore.records.score_record import read_record, record_file
from vocscore.runtime import auto_precision
from vocscore.runtime.int8 import quantized
from vocscore.scoring.engines import opened
from vocscore.scoring.jobs import job as jobs
from vocscore.scoring.jobs.merge import merge
from vocscore.scoring.jobs.start import start

AUTO = {"precision": "auto", "unit_size": 6}
UNITS = 5
NAMES = [f"{i:02}.jpg" for i in range(26)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return quantize_tiny(make_checkpoint(tmp_path_factory.mktemp("run") / "run"))


@pytest.fixture
def checkpoint(made, tmp_path):
    return shutil.copytree(made, tmp_path / "run")


@pytest.fixture
def source(tmp_path):
    (tmp_path / "in").mkdir()
    return make_images(tmp_path / "in", NAMES, bad={3, 17})


@pytest.fixture(autouse=True)
def speed(tmp_path, monkeypatch):
    """Sets what is measured, on a machine without any measurement and without bf16."""
    monkeypatch.setattr(auto_precision, "FEWEST_IMAGES", len(NAMES))
    monkeypatch.setattr("vocscore.runtime.openvino.has_bf16", lambda: False)

    def another(speedup):
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setattr(auto_precision, "measure_speedup", lambda *_r, **_i: speedup)

    another(2.0)
    return another


def rows_in(precision, source, checkpoint, tmp_path):
    """What a run with a named precision writes."""
    output = tmp_path / precision / "o.csv"
    output.parent.mkdir()
    run(source, output, checkpoint, **{**AUTO, "precision": precision})
    return output.read_bytes()


def test_it_is_taken_and_said(source, checkpoint, tmp_path):
    """The bytes of --precision int8; summary, report and record have the choice."""
    output = tmp_path / "o.csv"
    report = run(source, output, checkpoint, **AUTO)
    assert report.precision == (
        "int8, 2.0 times as fast as float32 here; probabilities differ from float32's by at most "
        "0.01, 0.10% of the decisions (100 images)"
    )
    assert report.to_json()["precision"] == report.precision
    exact = rows_in("float32", source, checkpoint, tmp_path)
    assert rows_in("int8", source, checkpoint, tmp_path) == output.read_bytes() != exact
    record = read_record(record_file(output))
    identity = record.model.sha256
    assert record.model.precision == "int8"
    assert record.settings["int8"] == quantized(checkpoint, identity=identity).sha256


@pytest.mark.parametrize(
    ("figures", "options", "speedup", "reason"),
    [
        ({"largest": 0.03}, {}, 2.0, "int8 is not close enough: probabilities differ"),
        ({"changed": 0.004}, {}, 2.0, "0.40% of the decisions (100 images) (auto allows 0.02 and"),
        ({"images": 0}, {}, 2.0, "how close int8 is to float32 was not recorded"),
        ({}, {}, 1.05, "int8 is only 1.05 times as fast here"),
        ({}, {"include": ["1*.jpg"]}, 2.0, "int8 does not pay for fewer than 26 images"),
        ({}, {"tta": "size=64"}, 2.0, "int8 does not serve runs of several sizes"),
        ({}, {"features": "f.npy"}, 2.0, "int8 does not serve runs with features"),
    ],
)
def test_it_is_not_taken(source, checkpoint, tmp_path, speed, *, figures, options, speedup, reason):
    """Not faithful, not faster, or of no use: float32, and the summary says why."""
    if figures:
        report = json.loads((checkpoint / "int8/report.json").read_text())
        told = {"pictures" if name == "images" else name: v for name, v in figures.items()}
        (checkpoint / "int8/report.json").write_text(json.dumps({**report, **told}))
    speed(speedup)
    options = {n: tmp_path / v if n == "features" else v for n, v in options.items()}
    report = run(source, tmp_path / "o.csv", checkpoint, **AUTO, **options)
    assert report.precision.startswith("float32, because ")
    assert reason in report.precision
    assert read_record(record_file(tmp_path / "o.csv")).model.precision == "float32"


def test_one_of_other_weights_is_not_taken(source, checkpoint, tmp_path):
    """The model was trained again: the summary names the command that quantizes it again."""
    card = json.loads((checkpoint / "model.json").read_text())
    (checkpoint / "model.json").write_text(json.dumps({**card, "threshold": 0.4}))
    report = run(source, tmp_path / "o.csv", checkpoint, **AUTO)
    assert report.precision.startswith("float32, because int8 cannot be used:")
    assert f"made from other weights. Make it with: vocscore quantize {checkpoint}" in (
        report.precision
    )


def test_nothing_is_said_without_a_quantized_model(source, checkpoint, tmp_path):
    """There was no choice."""
    shutil.rmtree(checkpoint / "int8")
    report = run(source, tmp_path / "o.csv", checkpoint, **AUTO)
    assert report.precision is None
    assert "precision" not in report.to_json()


def stopped(source, output, checkpoint):
    """Begin a run that ends after its first unit."""

    def progress(done, _total, _errors):
        if list(output.with_name(f"{output.name}.parts").glob("part-*.json")):
            raise InterruptedError(done)

    with pytest.raises(InterruptedError):
        run(source, output, checkpoint, **AUTO, progress=progress)
    parts = list(output.with_name(f"{output.name}.parts").glob("part-*.json"))
    assert 0 < len(parts) < UNITS


@pytest.mark.parametrize(
    ("first", "then", "precision"), [(2.0, 0.5, "int8"), (0.5, 2.0, "float32")]
)
def test_a_resume_keeps_it(source, checkpoint, tmp_path, speed, *, first, then, precision):
    """Whatever a second measurement would say; and a finished output is complete."""
    output = tmp_path / "o.csv"
    speed(first)
    stopped(source, output, checkpoint)
    speed(then)
    report = run(source, output, checkpoint, **AUTO)
    assert report.resumed > 0
    assert output.read_bytes() == rows_in(precision, source, checkpoint, tmp_path)
    told = {"int8": "int8, with which the run began", "float32": None}
    assert report.precision == told[precision]
    assert run(source, output, checkpoint, **AUTO).complete


def test_an_update_keeps_it(source, checkpoint, tmp_path, speed):
    """Also of fewer images than a first run would need."""
    output = tmp_path / "o.csv"
    run(source, output, checkpoint, **AUTO)
    speed(0.5)
    (source / "00.jpg").unlink()
    make_images(source, ["99.jpg"], bad=())
    report = run(source, output, checkpoint, **AUTO, update=True)
    assert report.update["new"] == 1
    assert read_record(record_file(output)).model.precision == "int8"


def test_a_named_precision_is_not_replaced(source, checkpoint, tmp_path):
    """A run that began in int8 and is continued with --precision float32 is refused."""
    output = tmp_path / "o.csv"
    stopped(source, output, checkpoint)
    with pytest.raises(ScoreError, match=r"the precision \(int8 there, float32 now\)"):
        run(source, output, checkpoint, **{**AUTO, "precision": "float32"})


def test_an_unfinished_run_of_another_model_decides_nothing(source, checkpoint, tmp_path, speed):
    """With --overwrite it is discarded, and its precision with it."""
    output = tmp_path / "o.csv"
    speed(0.5)
    stopped(source, output, checkpoint)
    speed(2.0)
    other = quantize_tiny(make_checkpoint(tmp_path / "other", seed=1))
    report = run(source, output, other, **AUTO, overwrite=True)
    assert report.precision.startswith("int8, 2.0 times")


def test_a_model_that_was_quantized_again_is_not_mixed_in(source, checkpoint, tmp_path):
    """Equal weights and other 8-bit ranges: the resume is refused."""
    output = tmp_path / "o.csv"
    stopped(source, output, checkpoint)
    quantize_tiny(checkpoint, preset="precise")
    with pytest.raises(ScoreError, match=r"differs in the int8 \([0-9a-f]{12} there"):
        run(source, output, checkpoint, **AUTO)


def test_a_worker_that_starts_later_needs_the_same_model(source, checkpoint, tmp_path, monkeypatch):
    """Each process opens the 8-bit model that was chosen, and no other."""
    seen = []
    monkeypatch.setattr(
        opened, "open_workers", lambda opener, _devices: seen.append(opener) or opener.open()
    )
    run(source, tmp_path / "o.csv", checkpoint, **AUTO, devices=("cpu", "cpu"))
    (opener,) = seen
    assert opener.precision == "int8"
    quantize_tiny(checkpoint, preset="precise")
    with pytest.raises(CheckpointError, match="its int8 model was replaced while it was in use"):
        opener.open()


def share(source, output, checkpoint, units, listing=None):
    settings = {"loader": "host", "device": "cpu", "batch_size": 16, "ceilings": False, **AUTO}
    config = build(ScoreConfig, {**settings, "units": units})
    return start(source, output, config, checkpoint=checkpoint, listing=listing)


def test_jobs_take_what_the_first_one_took(source, checkpoint, tmp_path, speed):
    """Each on a machine with another measurement; the merge has the bytes of one precision."""
    output = tmp_path / "o.csv"
    first = share(source, output, checkpoint, "2/3")
    assert first.precision.startswith("int8, 2.0 times")
    speed(0.5)
    for units in ("1/3", "any"):
        assert share(source, output, checkpoint, units).precision == (
            "int8, with which the run began"
        )
    merge(output, build(MergeConfig, {}))
    assert output.read_bytes() == rows_in("int8", source, checkpoint, tmp_path)


def test_of_jobs_that_start_together_one_decides(source, checkpoint, tmp_path, speed, monkeypatch):
    """One has chosen int8 when another one freezes the run with float32: both compute that."""
    output = tmp_path / "o.csv"
    read_source = jobs.read_source

    def overtaken(*arguments, **options):
        monkeypatch.setattr(jobs, "read_source", read_source)
        speed(0.5)
        share(source, output, checkpoint, "1/2")
        return read_source(*arguments, **options)

    monkeypatch.setattr(jobs, "read_source", overtaken)
    share(source, output, checkpoint, "2/2")
    merge(output, build(MergeConfig, {}))
    assert output.read_bytes() == rows_in("float32", source, checkpoint, tmp_path)


@pytest.mark.parametrize(
    ("speedup", "device", "begun", "precision"),
    [
        (2.0, "cpu", None, "int8"),
        (0.5, "cpu", None, "auto"),
        (0.5, "cpu", "int8", "int8"),
        (2.0, "cpu", "float32", "float32"),
        (2.0, "cpu", "bf16", "auto"),
        (2.0, "cuda:0", None, "auto"),
    ],
)
def test_a_cluster_gets_it_from_the_driver(
    source, checkpoint, tmp_path, speed, monkeypatch, *, speedup, device, begun, precision
):
    """int8 for all machines or for none; 'auto' is between bf16 and float32, on each of them."""
    seen = []

    def open_cluster(template, _config, *, settled, **_options):
        seen.append(settled(opened.replace(template, device=device)))
        raise ScoreError("no cluster")

    monkeypatch.setattr(opened, "open_cluster", open_cluster)
    monkeypatch.setattr("vocscore.scoring.run._begun", lambda *_arguments: begun)
    speed(speedup)
    with pytest.raises(ScoreError, match="no cluster"):
        run(source, tmp_path / "o.csv", checkpoint, **AUTO, on="ray")
    (engine,) = seen
    assert engine.precision == precision
    assert (engine.int8 is not None) == (precision == "int8")
