"""Scoring with a real network, of random weights, on drawn images."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from tiny_network import CLASSES, SIZE, make_checkpoint, numbers, read, run

from vocscore.errors import ScoreError
from vocscore.models.checkpoint import load_checkpoint
from vocscore.scoring.inputs.sources import read_source
from vocscore.scoring.output.work_folder import work_folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def images(voc_tree):
    return voc_tree / "JPEGImages"


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out.csv"


@pytest.fixture(scope="module")
def twin(images, checkpoint):
    """By brute force: Pillow, one image at a time, the network as it was saved."""
    network, card = load_checkpoint(checkpoint)
    found = {}
    for file in sorted(images.iterdir()):
        image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
        pixels = np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)) / 255.0
        plane = (pixels - card.preprocess.mean) / card.preprocess.std
        with torch.inference_mode():
            logits = network(torch.tensor(plane, dtype=torch.float32).permute(2, 0, 1)[None])
        found[file.name] = torch.sigmoid(logits)[0].numpy()
    return found


@pytest.mark.parametrize("case", [("reference", 1e-5), ("host", 0.02)], ids=lambda case: case[0])
def test_probabilities_are_those_of_a_brute_force_twin(images, output, checkpoint, twin, case):
    """Every row has its own image's probabilities; pixels of the host path differ a little."""
    loader, tolerance = case
    report = run(images, output, checkpoint, loader=loader)
    rows = read(output)
    assert list(rows) == sorted(twin)
    spread = np.stack(list(twin.values())).std(axis=0)
    assert (spread > 0.02).all()  # else rows could be swapped unnoticed
    for name, expected in twin.items():
        assert np.abs(numbers(rows[name]) - expected).max() < tolerance
        labels = [c for c, p in zip(CLASSES, numbers(rows[name]), strict=True) if p >= 0.5]
        assert rows[name]["labels"] == ";".join(labels)
    assert (report.images, report.errors, report.resumed) == (48, 0, 0)
    assert report.images_per_second > 0


def test_bytes_do_not_depend_on_batch_size_and_threads(images, output, checkpoint, tmp_path):
    """On a CPU the output is the same to the bit for every batch size and number of threads."""
    run(images, output, checkpoint)
    for batch_size, threads in ((7, 1), (64, 3)):
        other = tmp_path / f"{batch_size}.csv"
        run(images, other, checkpoint, batch_size=batch_size, workers=threads)
        assert other.read_bytes() == output.read_bytes()


def test_bad_images_cost_their_own_rows_and_nothing_else(images, output, checkpoint, tmp_path):
    """Broken files become rows with a reason; every other row keeps its bytes."""
    run(images, output, checkpoint)
    dirty = tmp_path / "dirty"
    shutil.copytree(images, dirty)
    files = sorted(dirty.iterdir())
    files[3].write_bytes(files[3].read_bytes()[:-300])
    files[4].write_bytes(b"")
    files[21].write_bytes(b"<html>404</html>")
    files[40].unlink()
    files[40].symlink_to("nowhere")
    report = run(dirty, tmp_path / "dirty.csv", checkpoint)
    assert report.reasons == {"empty": 1, "truncated": 1, "unsupported": 1, "vanished": 1}
    assert report.errors == 4
    clean, rows = read(output), read(tmp_path / "dirty.csv")
    assert list(rows) == list(clean)
    bad = {
        files[i].name: reason for i, reason in ((3, "truncated"), (4, "empty"), (40, "vanished"))
    }
    bad[files[21].name] = "unsupported"
    for name, row in rows.items():
        if name in bad:
            assert row["status"] == "error"
            assert row["error"].startswith(f"{bad[name]}: ")
        else:
            assert row == clean[name]


def test_an_image_that_goes_while_others_are_scored_is_an_error_row(
    images, output, checkpoint, tmp_path, monkeypatch
):
    """A file deleted between listing and reading is a row with the reason 'vanished'."""
    copy = tmp_path / "copy"
    shutil.copytree(images, copy)
    last = max(copy.iterdir())

    def list_and_delete(*arguments, **settings):
        inputs = read_source(*arguments, **settings)
        last.unlink()
        return inputs

    monkeypatch.setattr("vocscore.scoring.run.read_source", list_and_delete)
    report = run(copy, output, checkpoint, unit_size=12)
    assert report.reasons == {"vanished": 1}
    assert read(output)[last.name]["error"].startswith("vanished")


def test_a_stopped_run_is_resumed_to_equal_bytes(images, output, checkpoint, tmp_path):
    """Stopped in the middle, the same call goes on, with other batches, to the same bytes."""
    run(images, output, checkpoint)
    other = tmp_path / "other.csv"

    def stop(done, total, errors):
        if done > 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(images, other, checkpoint, progress=stop)
    assert not other.exists()
    report = run(images, other, checkpoint, batch_size=5, workers=1)
    assert report.resumed == 20
    assert report.images == 48
    assert other.read_bytes() == output.read_bytes()
    assert not work_folder(other).exists()


def test_another_checkpoint_is_not_mixed_in(images, output, checkpoint, tmp_path):
    """An unfinished run is refused to another network, folder, unit size, loader, pixel limit."""

    def stop(done, total, errors):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(images, output, checkpoint, progress=stop)
    other = make_checkpoint(tmp_path / "other", seed=1, threshold=0.25)
    with pytest.raises(ScoreError, match=r"the checkpoint \(.*the threshold \(0.5 there, 0.25 now"):
        run(images, output, other)
    with pytest.raises(ScoreError, match=r"the unit size \(20 there, 7 now\), the max pixels"):
        run(images, output, checkpoint, unit_size=7, max_pixels=10**8)
    with pytest.raises(ScoreError, match=r"the loader \(HostMaker there, ReferenceMaker now\)"):
        run(images, output, checkpoint, loader="reference")
    copy = tmp_path / "copy"
    shutil.copytree(images, copy)
    with pytest.raises(ScoreError, match=r"the source \(.*JPEGImages there, .*copy now\)\. "):
        run(copy, output, checkpoint)


def test_an_image_added_after_a_stop_is_noticed(images, output, checkpoint, tmp_path):
    """A folder that has changed is another listing."""
    copy = tmp_path / "copy"
    shutil.copytree(images, copy)

    def stop(done, total, errors):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(copy, output, checkpoint, progress=stop)
    shutil.copy(min(copy.iterdir()), copy / "added.jpg")
    with pytest.raises(ScoreError, match="differs in the listing"):
        run(copy, output, checkpoint)


def test_a_name_that_says_no_format_is_refused(images, checkpoint, tmp_path):
    """Another suffix is refused instead of being filled with CSV."""
    with pytest.raises(ScoreError, match=r"out\.txt: the format is not clear from the name"):
        run(images, tmp_path / "out.txt", checkpoint)


def test_a_finished_output_is_kept_unless_overwritten(images, output, checkpoint):
    """A second run on a finished output is refused at once, and replaces it with overwrite."""
    output.write_text("mine")
    with pytest.raises(ScoreError, match="already exists"):
        run(images, output, checkpoint)
    assert output.read_text() == "mine"
    run(images, output, checkpoint, overwrite=True)
    assert len(read(output)) == 48


def test_every_odd_file_is_a_row(odd, output, checkpoint):
    """Of the unusual files each has its row: with probabilities, or with a reason."""
    report = run(Path(odd), output, checkpoint)
    rows = read(output)
    assert report.images == len(rows) > 5
    for row in rows.values():
        assert (row["status"] == "ok") == (not row["error"]) == bool(row["cat"])
