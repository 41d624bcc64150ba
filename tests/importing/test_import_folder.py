"""`import-model` of a folder in timm's form on Hugging Face."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import timm.data
import timm.models
from originals import CLASSES, classes_file, images, logits, timm_folder, varied

import vocscore as vs
from vocscore.errors import CheckpointError, ImportModelError
from vocscore.importing.preprocessing import fraction_of, timm_preprocess
from vocscore.models.card_file import load_card
from vocscore.pipeline.geometry import resized_side
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 160
"""For which timm's test models were made."""


def change(folder: Path, **settings: Any) -> Path:
    """Change the configuration; None removes a key."""
    file = folder / "config.json"
    found = {**json.loads(file.read_text()), **settings}
    file.write_text(json.dumps({k: v for k, v in found.items() if v is not None}))
    return folder


@pytest.mark.parametrize(
    ("name", "arguments", "head"),
    [
        ("test_vit", {}, {}),
        (
            "test_vit",
            {"global_pool": "avg"},
            {"kind": "own", "arguments": {"global_pool": "avg"}},
        ),
    ],
)
def test_the_configuration_gives_everything(
    tmp_path: Path, name: str, arguments: dict[str, Any], head: dict[str, Any]
) -> None:
    """Backbone, classes, preprocessing, license; probabilities are those of timm's model."""
    model = timm_folder(tmp_path / "hf", name, model_args=arguments, crop_pct=1.0)
    report = vs.import_model(tmp_path / "hf", tmp_path / "run", check_images=2)
    card = load_card(tmp_path / "run")
    assert report.unproved == ()
    assert (card.backbone, card.classes, dict(card.head)) == (f"timm/{name}", CLASSES, head)
    own = model.pretrained_cfg
    assert card.preprocess.size == SIZE
    assert (card.preprocess.fit, card.preprocess.interpolation) == ("crop", "bicubic")
    pixels = images(size=SIZE)
    expected = logits(model, pixels, mean=own["mean"], std=own["std"]).sigmoid().numpy()
    with vs.load(tmp_path / "run") as loaded:
        found = np.stack([one.vector for one in loaded.predict(list(pixels))])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_folder_that_timm_wrote(tmp_path: Path) -> None:
    """Its arguments are the defaults of the architecture: it has a backbone and a linear head."""
    model = timm.create_model("test_vit", num_classes=len(CLASSES))
    varied(model, size=SIZE)
    timm.models.save_for_hf(model, tmp_path / "hf", model_config={"label_names": list(CLASSES)})
    assert "global_pool" in json.loads((tmp_path / "hf" / "config.json").read_text())["model_args"]
    vs.import_model(tmp_path / "hf", tmp_path / "run", check_images=2)
    assert dict(load_card(tmp_path / "run").head) == {}
    pixels = images(size=SIZE)
    with vs.load(tmp_path / "run") as loaded:
        assert loaded.features(list(pixels)).shape == (len(pixels), model.num_features)


@pytest.mark.parametrize("crop_pct", [0.875, 0.9, 0.95, 1.0, 0.835])
def test_the_shorter_side_is_timms(crop_pct: float) -> None:
    """The crop fraction gives as many pixels as timm, which rounds down."""
    made = timm_preprocess({"crop_pct": crop_pct, "input_size": [3, 224, 224]}, origin="x")
    transform = timm.data.create_transform((3, 224, 224), crop_pct=crop_pct)
    resize = transform.transforms[0]
    shorter = resize.size if isinstance(resize.size, int) else min(resize.size)
    assert resized_side(made) == shorter


@pytest.mark.parametrize(("size", "side"), [(224, 256), (224, 232), (380, 384), (299, 342)])
def test_the_shorter_side_is_torchvisions(size: int, side: int) -> None:
    """The crop fraction gives the side of the weights' own preset, and so does any other side."""
    assert resized_side(Preprocess(size, fit="crop", crop_fraction=fraction_of(size, side))) == side
    for other in range(size, 3 * size):
        assert int(size / fraction_of(size, other)) == other


def test_what_cannot_be_imported_is_one_line(tmp_path: Path) -> None:
    """Another library's, other class names, arguments that could open files, other shapes."""
    folder, run = tmp_path / "hf", tmp_path / "run"
    timm_folder(folder, "test_vit")
    original = (folder / "config.json").read_text()

    def refusal(error: type[vs.Error] = ImportModelError, **settings: Any) -> str:
        (folder / "config.json").write_text(original)
        change(folder, **settings)
        with pytest.raises(error) as caught:
            vs.import_model(folder, run, check_images=2)
        assert not run.exists()
        text = str(caught.value)
        assert "\n" not in text
        return text

    transformers = {"architecture": None, "architectures": ["ViTForImageClassification"]}
    assert "optimum-cli export onnx" in refusal(**transformers)
    assert "names no architecture" in refusal(architecture=None)
    assert "does not name its 5 classes" in refusal(vs.Error, label_names=None)
    assert "names the class 'cat' twice" in refusal(vs.Error, label_names=["cat"] * 5)
    assert "4 classes for 5 outputs" in refusal(vs.Error, label_names=list(CLASSES[:4]))
    assert "cannot be a column" in refusal(vs.Error, label_names=["a;b", *CLASSES[1:]])
    opening = {"checkpoint_path": "/tmp/evil.pth"}
    assert "checkpoint_path" in refusal(CheckpointError, model_args=opening)
    wide = json.loads(original)["pretrained_cfg"] | {"input_size": [3, 160, 320]}
    assert "square" in refusal(pretrained_cfg=wide)
    nan = json.loads(original)["pretrained_cfg"] | {"mean": [float("nan")] * 3}
    assert "hf/config.json: not timm's preprocessing" in refusal(pretrained_cfg=nan)
    border = json.loads(original)["pretrained_cfg"] | {"crop_mode": "border"}
    assert "crop_mode 'border'" in refusal(pretrained_cfg=border)
    assert "timm/test_vit" in refusal(CheckpointError, architecture="test_vitt")
    (folder / "config.json").write_text("{")
    with pytest.raises(ImportModelError, match=r"config\.json: not JSON"):
        vs.import_model(folder, run)
    with pytest.raises(ImportModelError, match="holds the model that is imported"):
        vs.import_model(folder, folder, overwrite=True)
    assert (folder / "model.safetensors").exists()


def test_options_take_precedence(tmp_path: Path) -> None:
    """Classes, preprocessing and threshold; another architecture contradicts the file."""
    folder, run = tmp_path / "hf", tmp_path / "run"
    timm_folder(folder, "test_resnet")
    other = tuple("vwxyz")
    with pytest.raises(vs.Error, match="`backbone` is timm/test_vit"):
        vs.import_model(folder, run, backbone="timm/test_vit")
    with pytest.raises(vs.Error, match="enlarge the shorter side to more than 16384 pixels"):
        vs.import_model(folder, run, crop_fraction=1e-9)
    report = vs.import_model(
        folder / "model.safetensors",
        run,
        classes=classes_file(tmp_path, other),
        size=64,
        fit="pad",
        interpolation="bilinear",
        mean="0.5",
        std="0.25,0.5,0.5",
        threshold=0.3,
        check_images=2,
    )
    card = load_card(run)
    assert card.classes == other
    assert card.threshold == 0.3
    chosen = card.preprocess
    assert (chosen.size, chosen.fit, chosen.interpolation) == (64, "pad", "bilinear")
    assert (chosen.mean, chosen.std) == ((0.5, 0.5, 0.5), (0.25, 0.5, 0.5))
    assert chosen.pad_color == (128, 128, 128)
    assert "the longer side to 64 pixels" in str(report)
