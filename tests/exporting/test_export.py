"""`vocscore export`: other programs get the checkpoint's probabilities, or no file."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import openvino
import pytest
import torch
from exported_runs import SIZE, invoke, make_run, probabilities
from PIL import Image, ImageOps

from shards import atomic
from vocscore.exporting import onnx_file
from vocscore.exporting.exported_model import ExportedModel

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES = ("a", "b é", "c")
FITTED = {"thresholds": (0.25, 0.5, 0.75), "temperature": 1.75}
DOCS = Path(__file__).parents[2] / "docs" / "exporting.md"


def run_onnx(file: Path, pixels: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(file).run(None, {"pixels": pixels})[0]


def run_openvino(file: Path, pixels: np.ndarray) -> np.ndarray:
    model = openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return model(pixels)["probabilities"]


def facts_in_onnx(file: Path) -> dict[str, str]:
    return onnxruntime.InferenceSession(file).get_modelmeta().custom_metadata_map


def facts_in_openvino(file: Path) -> dict[str, str]:
    return openvino.Core().read_model(file).get_rt_info(["vocscore"]).value


FORMATS = [
    pytest.param("model.onnx", run_onnx, facts_in_onnx, id="onnx"),
    pytest.param("model.xml", run_openvino, facts_in_openvino, id="openvino"),
]


@pytest.fixture
def photos(voc_tree: Path, tmp_path: Path) -> Path:
    """Five drawn images, one of them lying on its side."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for file in sorted((voc_tree / "JPEGImages").iterdir())[:4]:
        shutil.copy(file, folder)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(folder / file.name).save(folder / "turned.png", exif=exif)
    return folder


def as_documented(folder: Path, *, size: int) -> np.ndarray:
    """The images of a folder as docs/exporting.md has them made: Pillow, nothing of ours."""
    return np.stack(
        [
            np.asarray(
                ImageOps.exif_transpose(Image.open(file))
                .convert("RGB")
                .resize((size, size), Image.Resampling.BILINEAR)
            )
            for file in sorted(folder.iterdir())
        ]
    )


@pytest.mark.parametrize(("name", "run_file", "facts_in"), FORMATS)
def test_another_program_gets_the_scores(
    name: str,
    run_file: Callable[[Path, np.ndarray], np.ndarray],
    facts_in: Callable[[Path], dict[str, str]],
    photos: Path,
    tmp_path: Path,
) -> None:
    """Pillow and a runtime, with the file alone: what `score` writes, whatever the batch."""
    run = make_run(tmp_path / "run", CLASSES, **FITTED)
    out = tmp_path / name
    result = invoke("export", run, "-o", out, "--images", photos)
    assert result.exit_code == 0, result.output
    assert "on 5 images" in result.output
    scored = invoke("score", photos, "-m", run, "-o", tmp_path / "scores.csv", "-q")
    assert scored.exit_code == 0, scored.output

    expected = probabilities(tmp_path / "scores.csv")
    pixels = as_documented(photos, size=SIZE)
    found = run_file(out, pixels)
    assert found.dtype == np.float32
    assert expected.std() > 0.05, "the rows must differ, or this test shows nothing"
    np.testing.assert_allclose(found, expected, atol=0.02)  # Pillow's pixels, and not the host's
    np.testing.assert_allclose(run_file(out, pixels[:1]), found[:1], atol=1e-6)

    inside, beside = facts_in(out), json.loads((tmp_path / f"{name}.json").read_text())
    for facts in ({key: json.loads(inside[key]) for key in ("classes", "thresholds")}, beside):
        assert facts["classes"] == list(CLASSES)
        assert facts["thresholds"] == list(FITTED["thresholds"])
    assert inside["size"] == str(SIZE) == str(beside["size"])
    assert inside.keys() | {"checked"} == beside.keys()
    assert "EXIF" in inside["orientation"]
    assert beside["checked"]["pictures"] == 5
    assert beside["checked"]["largest_difference"] < 1e-5


@pytest.mark.parametrize(
    ("backbone", "size", "name"),
    [
        ("resnet18", 64, "model.onnx"),
        *(
            pytest.param(backbone, size, name, marks=pytest.mark.slow)
            for backbone, size, name in (
                ("alexnet", 80, "model.onnx"),
                ("googlenet", 64, "model.xml"),
                ("squeezenet1_0", 65, "model.onnx"),
            )
        ),
    ],
)
def test_backbones(backbone: str, size: int, name: str, photos: Path, tmp_path: Path) -> None:
    """Those of the experiment can be exported, at sizes that divide evenly and that do not."""
    run = make_run(tmp_path / "run", CLASSES, backbone=backbone, size=size)
    result = invoke("export", run, "-o", tmp_path / name, "--images", photos)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", [pytest.param("model.onnx", marks=pytest.mark.slow), "model.xml"])
def test_real_images_and_weights(voc_data: Path, name: str, tmp_path: Path) -> None:
    """SqueezeNet's ImageNet weights on photographs, at the size of the experiment."""
    weights = voc_data / "weights" / "squeezenet1_0-imagenet.pth"
    run = make_run(
        tmp_path / "run",
        CLASSES,
        backbone="squeezenet1_0",
        weights=str(weights),
        size=256,
        temperature=20.0,
    )
    photos = voc_data / "voc2012-100" / "JPEGImages"
    words = ("--images", photos, "--check-images", 10)
    result = invoke("export", run, "-o", tmp_path / name, *words)
    assert result.exit_code == 0, result.output
    checked = json.loads((tmp_path / f"{name}.json").read_text())["checked"]
    assert checked["pictures"] == 10
    assert checked["largest_difference"] < 1e-5


def test_documented_example_runs(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines of docs/exporting.md print the classes that `score` writes."""
    run = make_run(tmp_path / "run", CLASSES, **FITTED)
    result = invoke("export", run, "-o", tmp_path / "model.onnx", "--images", photos, "-q")
    assert result.exit_code == 0, result.output
    (example,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    for file in sorted(photos.glob("*.jpg")):
        shutil.copy(file, "photo.jpg")
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(example, {})
        assert invoke("score", "photo.jpg", "-m", run, "-o", "one.csv", "-q").exit_code == 0
        labels = Path("one.csv").read_text().splitlines()[1].rpartition(",")[2]
        assert printed.getvalue().strip() == str(labels.split(";") if labels else [])
        Path("one.csv").unlink()


def forgets_the_temperature(logits: torch.Tensor) -> torch.Tensor:
    return logits.sigmoid()


def is_not_a_number(logits: torch.Tensor) -> torch.Tensor:
    return logits * torch.nan


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("model.onnx", forgets_the_temperature),
        ("model.xml", forgets_the_temperature),
        ("model.xml", is_not_a_number),
    ],
)
def test_a_model_that_differs_is_not_written(
    wrong: Callable[[torch.Tensor], torch.Tensor],
    name: str,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit code 2 with the difference and the limit; what was there before is untouched."""
    run = make_run(tmp_path / "run", CLASSES, **FITTED)
    (tmp_path / name).write_text("old")
    before = sorted(tmp_path.iterdir())

    def forward(self: ExportedModel, pixels: torch.Tensor) -> torch.Tensor:
        images = self._card.preprocess.normalize(pixels.permute(0, 3, 1, 2).contiguous())
        return wrong(self.network(images))

    monkeypatch.setattr(ExportedModel, "forward", forward)
    result = invoke("export", run, "-o", tmp_path / name, "--images", photos, "--overwrite")
    assert result.exit_code == 2
    assert "differ from the checkpoint's" in result.output
    assert "0.0001 is allowed" in result.output
    assert (tmp_path / name).read_text() == "old"
    assert sorted(tmp_path.iterdir()) == before


def test_a_broken_off_replacement_is_visible(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old graph and new weights never lie side by side: without its graph there is no model."""
    run = make_run(tmp_path / "run", CLASSES)
    (tmp_path / "model.xml").write_text("old")
    (tmp_path / "model.bin").write_text("old")
    move = atomic.move

    def full(working: Path, path: Path) -> None:
        if path.suffix == ".xml":
            raise OSError(28, "No space left on device", str(path))
        move(working, path)

    monkeypatch.setattr(atomic, "move", full)
    words = ("--images", photos, "--overwrite")
    result = invoke("export", run, "-o", tmp_path / "model.xml", *words)
    assert result.exit_code == 2
    assert "No space left" in result.output
    assert (tmp_path / "model.bin").stat().st_size > 1000
    assert not (tmp_path / "model.xml").exists()


def test_a_file_that_is_there_is_kept(run: Path, packed: Path, tmp_path: Path) -> None:
    """Without --overwrite nothing is replaced, the weights beside the graph included."""
    (tmp_path / "model.bin").write_text("precious")
    words = ("export", run, "-o", tmp_path / "model.xml", "--shards", packed, "-q")
    result = invoke(*words)
    assert result.exit_code == 2
    assert "model.bin: already exists. Replace it with --overwrite." in result.output
    assert invoke(*words, "--overwrite").exit_code == 0
    assert (tmp_path / "model.bin").stat().st_size > 1000


@pytest.mark.parametrize(
    ("out", "says"),
    [("model.pb", "ends in .onnx (ONNX) or .xml (OpenVINO)"), ("no/model.onnx", "no such folder")],
)
def test_places_that_cannot_be(out: str, says: str, run: Path, tmp_path: Path) -> None:
    """The line says what is wrong with -o, before any work."""
    result = invoke("export", run, "-o", tmp_path / out)
    assert result.exit_code == 2
    assert says in result.output


def test_without_onnx(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that is missing is named, and the format that needs none."""
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if "script" in name else name)
    result = invoke("export", run, "-o", tmp_path / "model.onnx", "--drawn")
    assert result.exit_code == 2
    assert "needs onnxscript, not installed" in result.output
    assert "pip install 'vocscore[export]'" in result.output
    assert "-o FILE.xml" in result.output
    result = invoke("export", run, "-o", tmp_path / "model.xml", "--drawn", "--check-images", 3)
    assert result.exit_code == 0, result.output
    assert "on 3 images (drawn)" in result.output


def test_more_than_a_file_can_hold(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ONNX file ends at 2 GiB; the line names the format that does not."""
    monkeypatch.setattr(onnx_file, "LARGEST", 1_000)
    result = invoke("export", run, "-o", tmp_path / "model.onnx", "--drawn")
    assert result.exit_code == 2
    assert "-o FILE.xml" in result.output
    assert [file.name for file in tmp_path.iterdir()] == ["run"]


def test_the_check_needs_images(run: Path, packed: Path, tmp_path: Path) -> None:
    """By default those of the run; where they are gone, the line names the other ways."""
    out = tmp_path / "model.xml"
    (run / "config.json").write_text(json.dumps({"shards": str(packed)}))
    assert invoke("export", run, "-o", out, "-q").exit_code == 0
    checked = json.loads((tmp_path / "model.xml.json").read_text())["checked"]
    assert checked["from"] == "split 'val' of the shards"
    (run / "config.json").write_text(json.dumps({"shards": str(tmp_path / "gone")}))
    result = invoke("export", run, "-o", out, "--overwrite")
    assert result.exit_code == 2
    for option in ("--shards", "--images", "--drawn"):
        assert option in result.output


def test_images_that_cannot_be_decoded(run: Path, photos: Path, tmp_path: Path) -> None:
    """They are passed over, as long as there is one that can."""
    out = tmp_path / "model.xml"
    (photos / "0.jpg").write_text("no image")
    words = ("export", run, "-o", out, "--images")
    result = invoke(*words, photos)
    assert result.exit_code == 0, result.output
    assert "on 5 images" in result.output
    bad = tmp_path / "bad"
    bad.mkdir()
    empty = invoke(*words, bad, "--overwrite")
    assert empty.exit_code == 2
    assert "contains no images" in empty.output
    shutil.copy(photos / "0.jpg", bad)
    none = invoke(*words, bad, "--overwrite")
    assert none.exit_code == 2
    assert "none of 1 images can be decoded (0.jpg: " in none.output


def test_images_from_two_places(run: Path, packed: Path, tmp_path: Path) -> None:
    """Which images are checked with is said once."""
    result = invoke("export", run, "-o", tmp_path / "m.xml", "--drawn", "--shards", packed)
    assert result.exit_code == 2
    assert "give only one of them" in result.output
