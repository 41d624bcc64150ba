"""What training refuses or gives up, and what it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from small_training import fit, pack_set

from shards.reader import load_split
from shards.sample import AnnotatedSet
from shards.sources.voc.read import read_voc
from vocscore.errors import CheckpointError, DeviceError, OptionError, TrainError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("changes", [{"batch_size": 1}, {"train_split": "one"}])
def test_batch_normalization_over_one_image_is_refused(
    changes: dict[str, Any], few_shards: Path, tmp_path: Path
) -> None:
    """Where every batch has one image, batch normalization is refused in one line."""
    with pytest.raises(TrainError, match=r"uses batch normalization.*`batch_size`"):
        fit(few_shards, tmp_path / "run", tune="all", **changes)
    assert not (tmp_path / "run").exists()
    fit(few_shards, tmp_path / "head", tune="head", epochs=1, **changes)


def test_run_that_is_there_is_kept(few_shards: Path, tmp_path: Path) -> None:
    """A folder with a run is refused, untouched; with overwrite the run is replaced."""
    fit(few_shards, tmp_path, epochs=3)
    (tmp_path / "mine.txt").write_text("kept")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(TrainError, match=r"already holds a.*`overwrite=True`"):
        fit(few_shards, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    fit(few_shards, tmp_path, epochs=1, overwrite=True)
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 2
    assert (tmp_path / "mine.txt").read_text() == "kept"


def test_output_that_is_a_file(few_shards: Path, tmp_path: Path) -> None:
    """An output that is a file is refused in one line."""
    (tmp_path / "run").write_text("")
    with pytest.raises(TrainError, match="is a file"):
        fit(few_shards, tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"val_split": "test"}, TrainError, r"no split 'test'.*train, val, one.*`val_split`"),
        ({"train_split": "trainval"}, TrainError, r"no split 'trainval'.*`train_split`"),
        ({"warmup": 2}, OptionError, r"warm-up of 2 epochs.*smaller `warmup`"),
        ({"backbone": "resnet81"}, CheckpointError, "resnet18"),
        ({"weights": "no/file.pth"}, CheckpointError, "no/file.pth"),
        ({"backbone": "alexnet", "size": 32}, CheckpointError, "32x32"),
        ({"device": "cuda:99"}, DeviceError, "cuda:99"),
    ],
)
def test_mistakes_cost_nothing(
    changes: dict[str, Any],
    error: type[Exception],
    message: str,
    few_shards: Path,
    tmp_path: Path,
) -> None:
    """A mistake is one line, and the run it would have replaced is still there."""
    (tmp_path / "model.json").write_text("old")
    with pytest.raises(error, match=message) as caught:
        fit(few_shards, tmp_path, overwrite=True, **changes)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]


@pytest.mark.parametrize(("tune", "backbone"), [("head", "resnet18"), ("all", "tiny")])
def test_loss_that_is_not_a_number(
    tune: str, backbone: str, few_shards: Path, tmp_path: Path
) -> None:
    """A training that diverges says in which epoch and step, and leaves no checkpoint."""
    with pytest.raises(
        TrainError, match=r"epoch \d, step \d: the loss is (nan|inf).*`learning_rate`"
    ):
        fit(few_shards, tmp_path, tune=tune, backbone=backbone, learning_rate=1e38, batch_size=2)
    assert not (tmp_path / "model.json").exists()


@pytest.mark.parametrize("tune", ["head", "all"])
@pytest.mark.parametrize("loader", ["host", "dali"])
def test_image_that_cannot_be_decoded(
    loader: str, tune: str, voc_tree: Path, tmp_path: Path
) -> None:
    """A damaged image in the shards stops training with its name and 'vocscore verify'."""
    annotated = read_voc(voc_tree)
    copy = tmp_path / "VOC"
    for sample in annotated.samples[:6]:
        (copy / sample.path).parent.mkdir(parents=True, exist_ok=True)
        (copy / sample.path).write_bytes((annotated.root / sample.path).read_bytes())
    bad = annotated.samples[2].path
    (copy / bad).write_bytes((copy / bad).read_bytes()[:-200])
    some = annotated.samples
    part = AnnotatedSet(copy, some[:6])
    shards = pack_set(part, {"train": some[:4], "val": some[4:6]}, tmp_path / "set", verify=False)
    with pytest.raises(TrainError, match="vocscore verify") as caught:
        fit(shards, tmp_path / "run", loader=loader, tune=tune)
    assert bad in str(caught.value)
    assert "\n" not in str(caught.value)


def test_image_that_was_damaged_after_packing(voc_tree: Path, tmp_path: Path) -> None:
    """In shards that were packed with verification, the cure is another copy."""
    annotated = read_voc(voc_tree)
    some = annotated.samples
    shards = pack_set(annotated, {"train": some[:4], "val": some[4:6]}, tmp_path / "set")
    ref = load_split(shards, "train").images[2]
    with open(ref.file, "r+b") as tar:  # noqa: PTH123 - the name is text
        tar.seek(ref.offset + ref.size // 2)
        byte = tar.read(1)[0]
        tar.seek(ref.offset + ref.size // 2)
        tar.write(bytes([byte ^ 1]))
    with pytest.raises(TrainError, match=r"damaged after they were packed.*vocscore verify") as bad:
        fit(shards, tmp_path / "run")
    assert str(bad.value).startswith(f"{ref.name}: corrupt: its bytes are not those that")


def test_interrupted_training_is_no_finished_run(few_shards: Path, tmp_path: Path) -> None:
    """Interrupted after two epochs, a run has their history and no checkpoint."""

    def stop(result: Any) -> None:
        if result.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(few_shards, tmp_path, epochs=9, on_epoch=stop)
    left = ["config.json", "history.csv", "images.csv", "resume.pt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 3
