"""`score --tta`: the mean of the logits of several views of each image."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tiny_network import SIZE, make_checkpoint, make_images, numbers, read, run

import vocscore as vs
from shards.sample import ImageRef
from vocscore.cli.main import main
from vocscore.config.scoring import InferenceConfig
from vocscore.config.tta import Tta, parse_tta
from vocscore.errors import CheckpointError, OptionError, ScoreError
from vocscore.models.card_file import checkpoint_hash
from vocscore.models.checkpoint import load_checkpoint
from vocscore.pipeline.loaders import open_loader
from vocscore.pipeline.preprocess import Preprocess
from vocscore.records.score_record import read_record, record_file
from vocscore.runtime import scorer
from vocscore.runtime.scorer import open_scorer

OTHER = 80
NAMES = [f"{i:02d}.jpg" for i in range(9)]
BAD = 4


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    return make_checkpoint(folder, seed=1, temperature=1.5)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("images"), NAMES, bad=(BAD,))


def logits_of(checkpoint, source, *, size, mirrored):
    """By PyTorch, one image at a time: name -> float32 (3,)."""
    network, card = load_checkpoint(checkpoint)
    preprocess = Preprocess(size=size)
    found = {}
    with (
        open_loader(
            "host", preprocess, batch_size=1, device="cpu", threads=1, max_pixels=10**7
        ) as loader,
        torch.inference_mode(),
    ):
        for name in NAMES:
            (batch,) = loader.batches([ImageRef(name, str(source / name))])
            if len(batch.rows):
                pixels = batch.images.flip(-1) if mirrored else batch.images
                found[name] = network(card.preprocess.normalize(pixels))[0].numpy()
    return found


def mean_of(checkpoint, source, views):
    """The probabilities of the mean logits of (size, mirrored) views; name -> float32 (3,)."""
    every = [logits_of(checkpoint, source, size=s, mirrored=m) for s, m in views]
    mean = {name: np.mean([one[name] for one in every], axis=0) for name in every[0]}
    return {name: 1 / (1 + np.exp(-value / 1.5)) for name, value in mean.items()}


VIEWS = {
    "flip": [(SIZE, False), (SIZE, True)],
    f"size={OTHER}": [(SIZE, False), (OTHER, False)],
    f"size={OTHER},flip": [(SIZE, False), (SIZE, True), (OTHER, False), (OTHER, True)],
}


@pytest.mark.parametrize("tta", VIEWS)
def test_probabilities_are_those_of_the_mean_logits(checkpoint, source, tmp_path, tta):
    """Computed by hand with PyTorch; a bad image is a row as ever; it is in the record."""
    output = tmp_path / "o.csv"
    run(source, output, checkpoint, tta=tta, unit_size=4, batch_size=3)
    rows, expected = read(output), mean_of(checkpoint, source, VIEWS[tta])
    assert list(rows) == NAMES
    assert rows[NAMES[BAD]]["status"] == "error"
    for name, values in expected.items():
        np.testing.assert_allclose(numbers(rows[name]), values, atol=2e-5)
    assert read_record(record_file(output)).settings["tta"] == str(parse_tta(tta))


def test_bytes_do_not_depend_on_batches_and_threads(checkpoint, source, tmp_path):
    """Nor on the order in which the views were named."""
    run(source, tmp_path / "a.csv", checkpoint, tta=f"flip,size={OTHER}", batch_size=16, workers=1)
    run(source, tmp_path / "b.csv", checkpoint, tta=f"size={OTHER},flip", batch_size=2, workers=3)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_features_are_averaged_like_logits(checkpoint, source, tmp_path):
    """So the head gives the averaged logits; the predictions keep their bytes."""
    options = {"tta": f"flip,size={OTHER}", "unit_size": 4}
    run(source, tmp_path / "a.csv", checkpoint, **options)
    run(source, tmp_path / "b.csv", checkpoint, features=tmp_path / "f.npy", **options)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    network, card = load_checkpoint(checkpoint)
    with torch.inference_mode():
        logits = network.head(torch.from_numpy(np.load(tmp_path / "f.npy")))
    rows = read(tmp_path / "a.csv")
    for name, values in zip(NAMES, card.probabilities(logits).numpy(), strict=True):
        if name != NAMES[BAD]:
            np.testing.assert_allclose(numbers(rows[name]), values, atol=1e-5)


def test_other_views_are_another_output(checkpoint, source, tmp_path):
    """A finished one is refused with the difference, with and without views; so is an update."""
    output = tmp_path / "o.csv"
    run(source, output, checkpoint, tta="flip")
    assert run(source, output, checkpoint, tta=" flip ").complete
    for tta, shown in ((None, "None now"), (f"size={OTHER}", f"size={OTHER} now")):
        for update in (False, True):
            with pytest.raises(ScoreError, match=rf"differs in the tta \(flip there, {shown}\)"):
                run(source, output, checkpoint, tta=tta, update=update)
    plain = tmp_path / "plain.csv"
    run(source, plain, checkpoint)
    with pytest.raises(ScoreError, match=r"differs in the tta \(None there, flip now\)"):
        run(source, plain, checkpoint, tta="flip")
    assert "tta" not in json.loads(record_file(plain).read_bytes())["settings"]


def test_an_unfinished_run_with_other_views_is_refused(checkpoint, source, tmp_path):
    """And goes on with the same ones."""

    def stop(done: int, _total: int, _errors: int) -> None:
        if done >= 4:
            raise KeyboardInterrupt

    output = tmp_path / "o.csv"
    with pytest.raises(KeyboardInterrupt):
        run(source, output, checkpoint, tta="flip", unit_size=2, progress=stop)
    with pytest.raises(ScoreError, match=r"unfinished run that differs in the tta \(flip there, N"):
        run(source, output, checkpoint, unit_size=2)
    run(source, output, checkpoint, tta="flip", unit_size=2)
    run(source, tmp_path / "whole.csv", checkpoint, tta="flip", unit_size=2)
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_the_command_says_the_cost_first(checkpoint, source, tmp_path):
    """Forward passes per image, also for standard output; not with --quiet."""
    words = ["score", str(source), "-m", str(checkpoint), "--loader", "host", "-o", "-"]
    done = CliRunner().invoke(main, [*words, "--tta", "flip"])
    assert done.exit_code == 0, done.stderr
    assert done.stderr.startswith("tta flip: 2 forward passes per image\n")
    done = CliRunner().invoke(main, [*words, "--tta", "flip", "--quiet"])
    assert (done.exit_code, done.stderr) == (0, "")
    done = CliRunner().invoke(main, [*words, "--tta", f"size={SIZE}"])
    assert done.exit_code == 2
    assert done.stderr.endswith(
        f"Error: --tta size={SIZE}: {SIZE} pixels is the size that the model has anyway. Name "
        "another size, or omit it.\n"
    )


def test_costs_are_counted_in_passes_and_pixels():
    """Four times the pixels take four times as long."""
    assert Tta(flip=True).cost(256) == "2 forward passes per image"
    assert Tta(flip=True, size=512).cost(256) == (
        "4 forward passes per image, 2 of them at 512 pixels; about 10.0 times the time"
    )
    assert Tta(size=128).passes(256) == 2


@pytest.mark.parametrize(
    "text",
    ["", "flop", "flip,flip", "size=", "size=x", "size=0", "size=99999", "size=-4", "flip=1"],
)
def test_other_forms_are_refused(text):
    """With the form that it takes, or the range."""
    with pytest.raises(OptionError, match="tta"):
        InferenceConfig(tta=text)


def test_int8_keeps_the_size_that_it_was_checked_at():
    """Mirrored it may be."""
    assert InferenceConfig(tta="flip", precision="int8").views == Tta(flip=True)
    with pytest.raises(OptionError, match="an int8 model was calibrated"):
        InferenceConfig(tta="size=448", precision="int8")


def test_a_backbone_of_one_size_is_refused_with_its_reason(checkpoint, monkeypatch):
    """As vision transformers are."""

    class OneSize(torch.nn.Module):
        def forward(self, _images):
            raise AssertionError("Wrong image height! Expected 32 but got 80!")

    monkeypatch.setattr("vocscore.models.checkpoint.load_network", lambda _files: OneSize())
    with pytest.raises(CheckpointError, match=r"does not accept 80x80 pixels \(Wrong image height"):
        scorer.open_files(
            scorer.take(checkpoint, identity=checkpoint_hash(checkpoint)),
            scorer.Asked(scorer.Device.parse("cpu"), "float32", 7, size=OTHER),
        )


def test_a_gpu_averages_in_the_same_way(checkpoint, monkeypatch):
    """Its runtime on the CPU here: the numbers of OpenVINO within 1e-5."""
    identity = checkpoint_hash(checkpoint)
    shape = (5, 3, 1, SIZE * SIZE + OTHER * OTHER)
    images = torch.randint(256, shape, dtype=torch.uint8)
    arguments = {
        "precision": "float32",
        "group": 4,
        "features": True,
        "tta": Tta(flip=True, size=OTHER),
    }
    expected, _ = open_scorer(checkpoint, identity=identity, device="cpu", **arguments)
    monkeypatch.setattr(scorer.Device, "parse", lambda _name: FakeGpu())
    found, _ = open_scorer(checkpoint, identity=identity, device="cuda:0", **arguments)
    assert found.features == expected.features == 16
    np.testing.assert_allclose(
        found.probabilities(images), expected.probabilities(images), rtol=1e-4, atol=1e-5
    )


class FakeGpu:
    """The CPU, taken for a GPU."""

    is_gpu = True

    def __str__(self):
        return "cpu"


def test_a_loaded_model_takes_the_same_views(checkpoint, source, tmp_path):
    """Its predictions are the command's to the bit; an image and its mirror image are equal."""
    tta = f"flip,size={OTHER}"
    run(source, tmp_path / "o.csv", checkpoint, tta=tta, unit_size=2048)
    rows = read(tmp_path / "o.csv")
    paths = [str(source / name) for name in NAMES]
    with vs.load(checkpoint, device="cpu", workers=2, tta=tta) as model:
        assert str(model.setup.tta) == tta
        for name, one in zip(NAMES, model.predict(paths), strict=True):
            if name == NAMES[BAD]:
                assert one.error is not None
            else:
                np.testing.assert_array_equal(one.vector, numbers(rows[name]))
        pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        features = model.features([pixels])
    with vs.load(checkpoint, device="cpu", workers=2, tta="flip") as model:
        for _ in range(6):  # the later ones take the network for single images
            one, other = (model.predict([a])[0].vector for a in (pixels, pixels[:, ::-1].copy()))
            np.testing.assert_array_equal(one, other)
    assert features.shape == (1, 16)
    with pytest.raises(OptionError, match="anyway"):
        vs.load(checkpoint, device="cpu", tta=f"size={SIZE}")
