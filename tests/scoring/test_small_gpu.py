"""Scoring on a device whose memory is too small for the batch, with a real network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_network import make_checkpoint, numbers, read, run

from vocscore.errors import ScoreError
from vocscore.models.checkpoint import load_checkpoint
from vocscore.runtime.load import open_runtime
from vocscore.runtime.openvino import OpenVinoRuntime
from vocscore.scoring.engines.oom_retry import OomRetry


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("run"), backbone="resnet18")


@pytest.fixture
def room(monkeypatch):
    """Makes the runtime run out of memory above so many images."""

    def limit(most):
        whole = OpenVinoRuntime.submit

        def submit(self, images):
            if len(images) > most:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return whole(self, images)

        monkeypatch.setattr(OpenVinoRuntime, "submit", submit)

    return limit


def test_memory_that_runs_out_costs_no_row_and_is_told(voc_tree, tmp_path, checkpoint, room):
    """Every row is there beside its own numbers; the report says how the batch was halved, once."""
    source = voc_tree / "JPEGImages"
    run(source, tmp_path / "whole.csv", checkpoint)
    room(5)
    report = run(source, tmp_path / "small.csv", checkpoint)
    whole, small = read(tmp_path / "whole.csv"), read(tmp_path / "small.csv")
    assert list(small) == list(whole)
    for name, row in small.items():
        assert row["status"] == "ok"
        assert np.allclose(numbers(row), numbers(whole[name]), rtol=0, atol=1e-5)
    assert [line.split(":")[0] for line in report.problems] == [
        "32 images did not fit into GPU memory",
        "16 images did not fit into GPU memory",
        "8 images did not fit into GPU memory",
    ]


def test_an_image_that_does_not_fit_alone_ends_the_run(voc_tree, tmp_path, checkpoint, room):
    """One line; what was committed would be kept."""
    room(0)
    with pytest.raises(ScoreError, match="the network and one image do not fit"):
        run(voc_tree / "JPEGImages", tmp_path / "out.csv", checkpoint)


@pytest.mark.gpu
def test_a_real_gpu_that_runs_out_of_memory_goes_on_in_smaller_batches(checkpoint):
    """With 64 MB to allocate, a batch of 4,096 is halved until it fits; the answers stay."""
    network, card = load_checkpoint(checkpoint)
    size = card.preprocess.size
    images = torch.randint(0, 256, (4096, 3, size, size), dtype=torch.uint8)
    runtime = open_runtime(network, card, device="cuda:0")
    whole = runtime.probabilities(images)
    torch.cuda.empty_cache()
    # What torch holds counts, also where it is free: the pool of the CUDA graph is.
    room = torch.cuda.memory_reserved() + 64 * 2**20
    total = torch.cuda.get_device_properties(0).total_memory
    retrying = OomRetry(runtime)
    try:
        torch.cuda.set_per_process_memory_fraction(room / total, 0)
        small = retrying.probabilities(images)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, 0)
    assert retrying.problems()
    assert np.allclose(small, whole, rtol=0, atol=2e-3)


@pytest.mark.gpu
def test_two_processes_on_one_gpu_write_what_one_writes(voc_tree, tmp_path, checkpoint):
    """`--devices 0,0`: every row beside its own numbers, as from one process."""
    source, settings = voc_tree / "JPEGImages", {"loader": "auto", "unit_size": 10}
    run(source, tmp_path / "1.csv", checkpoint, device="cuda:0", **settings)
    run(source, tmp_path / "2.csv", checkpoint, devices=["0", "0"], **settings)
    one, two = read(tmp_path / "1.csv"), read(tmp_path / "2.csv")
    assert list(one) == list(two)
    for name, row in two.items():
        assert row["status"] == one[name]["status"]
        assert np.allclose(numbers(row), numbers(one[name]), rtol=0, atol=2e-3)
