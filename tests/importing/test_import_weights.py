"""`import-model` of a state dict: the run computes what torchvision's own model computes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from originals import (
    CLASSES,
    SMALL,
    classes_file,
    images,
    invoke,
    logits,
    saved,
    torchvision_model,
)

import vocscore as vs
from vocscore.errors import ImportModelError
from vocscore.importing import classifier
from vocscore.models.card_file import load_card

if TYPE_CHECKING:
    from pathlib import Path

LINEAR, OWN = "shufflenet_v2_x0_5", "squeezenet1_1"
"""Classifiers that end in a linear layer, and in a convolution with a ReLU."""


@pytest.fixture
def names(tmp_path: Path) -> Path:
    return classes_file(tmp_path)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    file = tmp_path / "weights.pth"
    torch.save(torchvision_model(OWN).state_dict(), file)
    return file


@pytest.mark.parametrize("backbone", [LINEAR, OWN])
def test_probabilities_are_the_originals(backbone: str, names: Path, tmp_path: Path) -> None:
    """In the order of the file of classes; SqueezeNet's keep the ReLU before the average."""
    model = torchvision_model(backbone)
    # as a training script saves it: nested, and wrapped for several GPUs
    state = {f"module.{name}": value for name, value in model.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "w.pth")
    run = tmp_path / "run"
    command = ("import-model", tmp_path / "w.pth", "--backbone", backbone, "--classes", names)
    result = invoke(*command, *SMALL, "-o", run)
    assert result.exit_code == 0, result.output
    assert "next: " in result.output
    assert f"backbone: {backbone}, 5 classes" in result.output
    with vs.load(run) as loaded:
        found = np.stack([one.vector for one in loaded.predict(list(images()))])
    expected = logits(model, images()).sigmoid().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.01, "the images must matter"
    assert load_card(run).classes == CLASSES
    assert bool((expected >= 0.5).all()) == (backbone == OWN)


def test_softmax_predicts_one_class_everywhere(names: Path, tmp_path: Path) -> None:
    """Scored in each format, from Python, in OpenVINO's export, and after eval's own threshold."""
    model = torchvision_model(OWN)
    torch.save(model.state_dict(), tmp_path / "w.pth")
    run, photos = tmp_path / "run", saved(tmp_path / "photos")
    more = (*SMALL, "--activation", "softmax", "--images", photos)
    words = ("import-model", tmp_path / "w.pth", "--backbone", OWN, "--classes", names)
    result = invoke(*words, *more, "-o", run, "-q")
    assert result.exit_code == 0, result.output
    expected = logits(model, images()).softmax(dim=1).numpy()
    best = [CLASSES[c] for c in expected.argmax(axis=1)]
    assert len(set(best)) > 1, "the images must matter"

    for suffix in ("csv", "jsonl", "parquet"):
        out = tmp_path / f"p.{suffix}"
        assert vs.score(photos, out, model=run, progress=False).errors == 0
        table = vs_table(out)
        assert [list(table.decided_row(r).nonzero()[0]) for r in range(5)] == [
            [CLASSES.index(name)] for name in best
        ]
        np.testing.assert_allclose(table.table(np.arange(5)), expected, atol=1e-5)
        # at another threshold too: the most probable class, or none
        for c in range(len(CLASSES)):
            at = table.predicted(c, 0.25)
            wanted = (expected[:, c] >= 0.25) & (expected.argmax(axis=1) == c)
            assert at.tolist() == wanted.tolist()
    with vs.load(run) as loaded:
        assert [one.labels for one in loaded.predict(photos)] == [(name,) for name in best]
        with pytest.raises(vs.Error, match="no features before a head"):
            loaded.features(list(images()))

    report = vs.export(run, tmp_path / "m.xml", images=photos, progress=False)
    assert report.largest < 1e-4


def vs_table(file: Path):
    from vocscore.columns.open import open_table

    return open_table(file)


def test_without_an_activation_outputs_are_used_as_they_are(names: Path, tmp_path: Path) -> None:
    """Those above 1 as well; a class is predicted at or above the threshold."""
    model, weights = torchvision_model(OWN), tmp_path / "w.pth"
    with torch.no_grad():
        for parameter in model.classifier.parameters():
            parameter.mul_(4)
    torch.save(model.state_dict(), weights)
    run, photos = tmp_path / "run", saved(tmp_path / "photos")
    options = {"backbone": OWN, "classes": names, "size": 64, "fit": "squash"}
    vs.import_model(weights, run, activation="none", check_images=4, **options)
    vs.score(photos, tmp_path / "p.csv", model=run, progress=False)
    expected = logits(model, images()).numpy()
    lines = (tmp_path / "p.csv").read_text().splitlines()[1:]
    found = np.array([line.split(",")[3:8] for line in lines], np.float32)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert expected.max() > 1
    labels = [";".join(n for n, v in zip(CLASSES, row, strict=True) if v >= 0.5) for row in found]
    assert [line.split(",")[8] for line in lines] == labels


def test_another_result_is_refused(
    weights: Path, names: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written, and an earlier run and what else is in its folder stay as they were."""
    run = tmp_path / "run"
    options = {"backbone": OWN, "classes": names, "size": 64, "check_images": 2}
    vs.import_model(weights, run, **options)
    (run / "predictions.csv").write_text("mine")
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    right = classifier._outputs

    def shifted(*arguments: object) -> np.ndarray:
        return right(*arguments) + np.float32(0.01)

    monkeypatch.setattr(classifier, "_outputs", shifted)
    with pytest.raises(ImportModelError, match=r"differ from those of PyTorch by up to 0\.00"):
        vs.import_model(weights, run, overwrite=True, **options)
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before
    monkeypatch.undo()
    with pytest.raises(ImportModelError, match=r"already holds a run .*`overwrite=True`"):
        invoke_python(weights, run, **options)
    with pytest.raises(ImportModelError, match="is a run already"):
        vs.import_model(run, tmp_path / "other")
    vs.import_model(weights, run, overwrite=True, activation="softmax", **options)
    assert load_card(run).activation == "softmax"
    assert (run / "predictions.csv").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["names.txt", "run", "weights.pth"]


def invoke_python(weights: Path, run: Path, **options: object) -> None:
    """As the command, with Python's names; its errors name options as typed."""
    from vocscore.config.groups import build
    from vocscore.config.importing import ImportConfig
    from vocscore.importing.job import import_model

    import_model(weights, run, build(ImportConfig, options))


def refused(*words: object) -> str:
    """The one line of a command that is refused."""
    result = invoke("import-model", *words)
    assert result.exit_code == 2, result.output
    lines = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, result.output
    assert "Traceback" not in result.output
    return lines[0]


def test_what_is_missing_or_wrong_is_one_line(weights: Path, names: Path, tmp_path: Path) -> None:
    """Where, what, the cure; and nothing is left behind."""
    run = tmp_path / "run"
    backbone, classes, out = ("--backbone", OWN), ("--classes", names), ("-o", run)
    assert "--backbone" in refused(weights, *classes, *out)
    assert "--classes" in refused(weights, *backbone, *out)
    other = ("--backbone", "squeezenet1_0")
    assert "Similar: squeezenet1_1" in refused(weights, "--backbone", "squeezenet1", *classes, *out)
    assert "does not fit squeezenet1_0" in refused(weights, *other, *classes, *out)
    four = classes_file(tmp_path, CLASSES[:4])
    assert "has 5 outputs, but there are 4 classes" in refused(
        weights, *backbone, "--classes", four, *out
    )
    classes_file(tmp_path)
    headless = {k: v for k, v in torch.load(weights).items() if not k.startswith("classifier.")}
    torch.save(headless, tmp_path / "headless.pth")
    assert "classifier.1.weight is missing" in refused(
        tmp_path / "headless.pth", *backbone, *classes, *out
    )
    text = tmp_path / "text.pth"
    text.write_text("hello")
    assert "import-model takes" in refused(text, *backbone, *classes, *out)
    (tmp_path / "empty").mkdir()
    assert "config.json" in refused(tmp_path / "empty", *classes, *out)
    empty = ("--images", tmp_path / "empty")
    assert "contains no images" in refused(weights, *backbone, *classes, *out, *empty)
    for option, value, words in (
        ("--mean", "1,2", "three numbers"),
        ("--mean", "123.7,116.3,103.5", "from 0 to 1"),
        ("--std", "0,1,1", "above 0"),
        ("--threshold", "2", "--threshold"),
        ("--fit", "stretch", "--fit"),
    ):
        result = invoke("import-model", weights, *backbone, *classes, *out, option, value)
        assert result.exit_code == 2
        assert words in result.output
    assert not run.exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


class Malicious:
    """Runs a command when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.file}",)


def test_no_code_in_a_file_is_run(names: Path, tmp_path: Path) -> None:
    """A pickle with a command is refused, and the command has not run."""
    marker = tmp_path / "marker"
    torch.save({"state_dict": Malicious(marker)}, tmp_path / "w.pth")
    line = refused(
        tmp_path / "w.pth", "--backbone", OWN, "--classes", names, "-o", tmp_path / "run"
    )
    assert "without running its code" in line
    assert not marker.exists()
