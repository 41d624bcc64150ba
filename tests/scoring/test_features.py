"""`score --features`: one row of features per row of the predictions, with the same guarantees."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from tiny_network import CLASSES, SIZE, make_checkpoint, make_images, read, run

from shards.sample import ImageRef
from vocscore.cli.main import main
from vocscore.config.scoring import OutputConfig
from vocscore.errors import CheckpointError, OptionError, ScoreError
from vocscore.models.card import ModelCard
from vocscore.models.card_file import checkpoint_hash
from vocscore.models.checkpoint import load_checkpoint, save_checkpoint
from vocscore.models.own_head import build_whole, wrapped
from vocscore.pipeline.loaders import open_loader
from vocscore.pipeline.preprocess import Preprocess
from vocscore.records.score_record import read_record, record_file
from vocscore.runtime import features as features_module
from vocscore.runtime import scorer
from vocscore.runtime.base import Runtime
from vocscore.runtime.cuda import CudaRuntime
from vocscore.runtime.features import Joined, TwoPasses, pooled
from vocscore.runtime.scorer import open_scorer
from vocscore.scoring.output.work_folder import work_folder

BAD = (2, 7)
NAMES = [f"{i:02d}.jpg" for i in range(11)]
FEATURES = 16


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A backbone of 16 features whose logits and features differ from image to image."""
    return make_checkpoint(tmp_path_factory.mktemp("run") / "run", seed=1)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("images"), NAMES, bad=BAD)


@pytest.fixture(scope="module")
def expected(checkpoint, source):
    """The features by PyTorch, float32 (11, 16), NaN for the bad ones."""
    network, card = load_checkpoint(checkpoint)
    found = np.full((len(NAMES), FEATURES), np.nan, np.float32)
    refs = [ImageRef(name, str(source / name)) for name in NAMES]
    with (
        open_loader(
            "host", card.preprocess, batch_size=4, device="cpu", threads=1, max_pixels=10**7
        ) as loader,
        torch.inference_mode(),
    ):
        for batch in loader.batches(refs):
            found[batch.rows] = network.backbone(card.preprocess.normalize(batch.images)).numpy()
    return found


@pytest.fixture(scope="module")
def plain(checkpoint, source, tmp_path_factory):
    """The bytes of the predictions without features."""
    output = tmp_path_factory.mktemp("plain") / "o.csv"
    run(source, output, checkpoint, unit_size=4)
    return output.read_bytes()


def scored(source, folder, checkpoint, name, **options):
    """The file of features; its predictions are `o.csv` in the same folder."""
    file = folder / name
    run(source, folder / "o.csv", checkpoint, features=file, **{"unit_size": 4} | options)
    return file


def test_an_array_has_the_features_of_every_row_in_order(
    checkpoint, source, expected, plain, tmp_path
):
    """Mapped into memory: PyTorch's within 1e-5, NaN for errors; the predictions' bytes stay."""
    file = scored(source, tmp_path, checkpoint, "f.npy")
    found = np.load(file, mmap_mode="r")
    assert (found.shape, found.dtype) == ((len(NAMES), FEATURES), np.float32)
    assert np.isnan(found).all(axis=1).nonzero()[0].tolist() == list(BAD)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert (tmp_path / "o.csv").read_bytes() == plain
    told = read_record(record_file(tmp_path / "o.csv")).output
    assert told["features"] == {"path": "f.npy", "dtype": "float32"}
    assert told["features_bytes"] == file.stat().st_size
    assert not work_folder(tmp_path / "o.csv").exists()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_parquet_is_read_by_pyarrow_and_duckdb(checkpoint, source, expected, tmp_path, dtype):
    """A path and a list of fixed size per row, null for errors; in groups of a unit."""
    file = scored(source, tmp_path, checkpoint, "f.parquet", features_dtype=dtype)
    table = pq.read_table(file)
    assert table["path"].to_pylist() == NAMES
    assert table.schema.field("features").type.list_size == FEATURES
    lists = table["features"].to_pylist()
    assert [row for row, one in enumerate(lists) if one is None] == list(BAD)
    good = [row for row in range(len(NAMES)) if row not in BAD]
    values = np.array([lists[row] for row in good], dtype)
    np.testing.assert_allclose(values, expected[good].astype(dtype), rtol=2e-3, atol=1e-5)
    assert pq.ParquetFile(file).num_row_groups == 3
    rows = duckdb.sql(f"SELECT path, features FROM '{file}' ORDER BY path").fetchall()
    assert [path for path, _ in rows] == NAMES
    for (_, one), other in zip(rows, lists, strict=True):
        assert (None if one is None else list(one)) == other


def test_half_floats_are_the_rounded_ones(checkpoint, source, tmp_path):
    """The float32 array, each number rounded once."""
    exact = np.load(scored(source, tmp_path, checkpoint, "f.npy"))
    (tmp_path / "half").mkdir()
    half = scored(source, tmp_path / "half", checkpoint, "f.npy", features_dtype="float16")
    np.testing.assert_array_equal(np.load(half), exact.astype(np.float16))


@pytest.mark.parametrize("name", ["f.npy", "f.parquet"])
def test_a_stopped_run_goes_on_to_the_same_bytes(checkpoint, source, tmp_path, name):
    """No file of features until the end; units that were finished are not scored again."""
    whole = scored(source, tmp_path, checkpoint, name).read_bytes()
    (tmp_path / "again").mkdir()

    def stop(done: int, _total: int, _errors: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scored(source, tmp_path / "again", checkpoint, name, progress=stop)
    assert [file.name for file in (tmp_path / "again").iterdir()] == ["o.csv.parts"]
    with pytest.raises(ScoreError, match="unfinished run that differs in the output features dt"):
        scored(source, tmp_path / "again", checkpoint, name, features_dtype="float16")
    file = scored(source, tmp_path / "again", checkpoint, name, batch_size=3)
    assert file.read_bytes() == whole
    assert read_record(record_file(tmp_path / "again/o.csv")).resumed >= 4


def test_a_part_that_was_cut_is_scored_again(checkpoint, source, tmp_path):
    """As for parts of predictions: its size is in the mark."""

    def stop(done: int, _total: int, _errors: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scored(source, tmp_path, checkpoint, "f.npy", progress=stop)
    part = tmp_path / "o.csv.parts/features-000000.npy"
    os.truncate(part, part.stat().st_size - 1)
    found = np.load(scored(source, tmp_path, checkpoint, "f.npy"))
    assert np.isnan(found).all(axis=1).nonzero()[0].tolist() == list(BAD)


def test_killed_at_any_step_both_files_are_whole_or_absent(tmp_path):
    """And the next run finishes both, and leaves nothing else behind."""
    driver = Path(__file__).with_name("dying_features.py")
    done = subprocess.run(
        [sys.executable, driver, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


def test_an_equal_command_does_nothing_and_others_are_refused(checkpoint, source, tmp_path):
    """What differs is named; lost features are, too; `overwrite` writes both again."""
    file = scored(source, tmp_path, checkpoint, "f.npy")
    whole = file.read_bytes()
    report = run(source, tmp_path / "o.csv", checkpoint, features=file, unit_size=4)
    assert report.complete
    with pytest.raises(ScoreError, match=r"the output features path \(f.npy there, None now"):
        run(source, tmp_path / "o.csv", checkpoint, unit_size=4)
    with pytest.raises(ScoreError, match=r"differs in the output features path \(f.npy there, g"):
        scored(source, tmp_path, checkpoint, "g.npy")
    file.write_bytes(b"")
    with pytest.raises(ScoreError, match=r"f\.npy: has another size than the record"):
        scored(source, tmp_path, checkpoint, "f.npy")
    file.unlink()
    with pytest.raises(ScoreError, match=r"f\.npy: is missing, though it is named in the record"):
        scored(source, tmp_path, checkpoint, "f.npy")
    assert scored(source, tmp_path, checkpoint, "f.npy", overwrite=True).read_bytes() == whole


def test_bad_names_and_combinations_are_refused_before_anything_is_scored(
    checkpoint, source, tmp_path
):
    """Each with one line; nothing was written."""
    for name, message in (
        ("o.csv.files.npy", "belongs to the predictions"),
        ("o.csv.parts/f.npy", "belongs to the predictions"),
        ("there.npy", "there.npy: already exists. Use `overwrite=True`"),
        ("folder.npy", "a folder. Name a file"),
        ("there.npy/f.npy", "cannot be written"),
    ):
        (tmp_path / "folder.npy").mkdir(exist_ok=True)
        (tmp_path / "there.npy").write_bytes(b"mine")
        with pytest.raises(ScoreError, match=message):
            scored(source, tmp_path, checkpoint, name)
    with pytest.raises(ScoreError, match="`update=True` is not supported with `features`"):
        scored(source, tmp_path, checkpoint, "f.npy", update=True)
    with pytest.raises(OptionError, match=r"end[s]? in .npy or .parquet"):
        OutputConfig(features=Path("f.csv"))
    with pytest.raises(OptionError, match="needs"):
        OutputConfig(features_dtype="float16")
    assert (tmp_path / "there.npy").read_bytes() == b"mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.npy", "there.npy"]


def test_the_command_names_the_file_and_refuses_standard_output(checkpoint, source, tmp_path):
    """With -o - there is nothing to resume from, so features have no place."""
    words = ["score", str(source), "-m", str(checkpoint), "--loader", "host"]
    file = tmp_path / "f.npy"
    done = CliRunner().invoke(main, [*words, "-o", "-", "--features", str(file)])
    assert done.exit_code == 2
    assert done.stderr == (
        "Error: --features needs predictions in a file, which can be resumed. Name one with -o, "
        "or omit it.\n"
    )
    output = tmp_path / "new" / "parts"
    done = CliRunner().invoke(
        main, [*words, "-o", str(output), "--features", str(file), "--format", "jsonl"]
    )
    assert done.exit_code == 0, done.stderr
    assert f"features: {file}\n" in done.stdout
    assert np.load(file).shape == (len(NAMES), FEATURES)
    assert [path.name for path in output.iterdir()] == ["part-000000.jsonl"]


@pytest.mark.slow
def test_several_processes_write_the_same_bytes(source, tmp_path):
    """Each sends the features of its units to the one that writes."""
    real = make_checkpoint(tmp_path / "run", backbone="squeezenet1_1")
    one = scored(source, tmp_path, real, "f.npy").read_bytes()
    (tmp_path / "two").mkdir()
    two = scored(source, tmp_path / "two", real, "f.npy", devices=("cpu", "cpu"))
    assert two.read_bytes() == one
    assert len(read(tmp_path / "two/o.csv")) == len(NAMES)


def test_a_second_pass_is_taken_where_bits_would_change(checkpoint, monkeypatch):
    """The probabilities are those of the network without features; a warning says why."""
    images = torch.randint(256, (5, 3, SIZE, SIZE), dtype=torch.uint8)
    setup = {"identity": checkpoint_hash(checkpoint), "device": "cpu", "precision": "float32"}
    plain, _ = open_scorer(checkpoint, group=4, **setup)
    both, _ = open_scorer(checkpoint, group=4, features=True, **setup)
    assert not isinstance(both, TwoPasses)
    monkeypatch.setattr(scorer, "same_probabilities", lambda *_: False)
    with pytest.warns(RuntimeWarning, match="in a second pass"):
        two, _ = open_scorer(checkpoint, group=4, features=True, **setup)
    for runtime in (both, two):
        assert runtime.features == FEATURES
        found = runtime.probabilities(images)
        np.testing.assert_array_equal(found[:, :3], plain.probabilities(images))
        np.testing.assert_array_equal(found, both.probabilities(images))
    assert two.probabilities(images[:0]).shape == (0, 3 + FEATURES)


def test_other_bits_are_noticed():
    """By one bit of one probability."""

    class Fixed(Runtime):
        def __init__(self, values):
            self.values = np.asarray(values, np.float32)

        def submit(self, _images):
            return lambda: self.values

    one = np.nextafter(np.float32(0.5), np.float32(1))
    images = torch.zeros(1)
    same = features_module.same_probabilities
    assert same(Fixed([[0.5, 0.25]]), Fixed([[0.5, 0.25, 9]]), images)
    assert not same(Fixed([[0.5, 0.25]]), Fixed([[one, 0.25, 9]]), images)


def test_the_runtime_of_a_gpu_has_them_too(checkpoint):
    """Run on the CPU here: probabilities without a changed bit, features as PyTorch's."""
    images = torch.randint(256, (5, 3, SIZE, SIZE), dtype=torch.uint8)
    network, card = load_checkpoint(checkpoint)
    arguments = {
        "preprocess": card.preprocess,
        "classes": 3,
        "device": "cpu",
        "precision": "float32",
        "batch_size": 4,
    }
    plain = CudaRuntime(network, **arguments).probabilities(images)
    both = CudaRuntime(Joined(network), features=True, **arguments)
    found = both.probabilities(images)
    assert both.features == FEATURES
    np.testing.assert_array_equal(found[:, :3], plain)
    with torch.inference_mode():
        expected = network.backbone(card.preprocess.normalize(images)).numpy()
    np.testing.assert_allclose(found[:, 3:], expected, rtol=1e-4, atol=1e-5)
    assert both.probabilities(images[:0]).shape == (0, 3 + FEATURES)


def test_features_of_a_map_are_its_mean():
    """For heads that take a map."""
    maps = torch.arange(24.0).reshape(1, 2, 3, 4)
    assert pooled(maps).tolist() == [[5.5, 17.5]]
    assert pooled(pooled(maps)).tolist() == [[5.5, 17.5]]


def test_a_classifier_without_a_backbone_is_refused(checkpoint, source, tmp_path):
    """An imported one whose last layers could not be split off has no features."""
    whole = tmp_path / "whole"
    torch.manual_seed(1)
    network = wrapped(build_whole("squeezenet1_1", classes=3, size=SIZE), classes=3)
    card = ModelCard(
        "squeezenet1_1", CLASSES, Preprocess(size=SIZE), 0.5, "none", head={"kind": "own"}
    )
    save_checkpoint(whole, network, card)
    with pytest.raises(CheckpointError, match="feature"):
        scored(source, tmp_path, whole, "f.npy")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["whole"]
