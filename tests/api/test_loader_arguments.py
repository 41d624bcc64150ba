"""Wrong types of the loader's arguments are refused at once, by the argument's name."""

from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from vocscore.api.loader import loader
from vocscore.config.training import AugmentationConfig
from vocscore.errors import EvalError, LoaderError

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.api.batch_loader import BatchLoader


def opened(source: Any, **changes: Any) -> BatchLoader:
    return loader(source, **{"size": 16, "workers": 1, "device": "cpu", **changes})


WRONG: dict[str, list[Any]] = {
    "batch_size": ["8", 8.0, None, True, [8]],
    "seed": ["0", 1.5, None, True],
    "size": ["x", 16.0, True],
    "mean": [0.5, "abc", (0.5, 0.5), (0.5, 0.5, None), (0.5, 0.5, math.nan), {1, 2, 3}],
    "std": [1, ("1", "1", "1"), (1, 1, math.inf)],
    "shuffle": [1, "yes", None],
    "drop_last": [0, "no", None],
    "max_pixels": [0, -1, "x", None, 1e6],
    "image_memory": [0, "x", None, 1.5],
    "workers": ["2", 0, 1.5, True],
    "rank": ["0", None, 0.0],
    "world_size": ["1", None, 1.0],
    "augmentation": [True, {}, "strong", AugmentationConfig],
    "difficult": [None, 3, []],
    "on_error": [None, []],
    "loader": [None, []],
    "device": [None, 0],
    "split": [3, b"train", [], ["train", None], {"train": 1}],
    "preprocess": [3, b"run", "", []],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_wrong_types_are_refused(packed: Path, name: str, value: Any) -> None:
    """The message says what the argument must be, in one line."""
    others = {"size": None} if name == "preprocess" else {}
    with pytest.raises(LoaderError, match=f"^{name} must be ") as raised:
        opened(packed, **{**others, name: value})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "^source must be a path, or a list of image files, got None"),
        (3, "^source must be a path"),
        (b"x", "^source must be a path"),
        ({"a.jpg": 1}, "^source must be a path"),
        ("", "^source is empty"),
        ("a\0b", "^source is .* NUL"),
        ([None], r"^source\[0\] must be a path, got None"),
        (["a.jpg", b"x"], r"^source\[1\] must be a path, got b'x'"),
        (["a.jpg", ""], r"^source\[1\] is empty"),
    ],
)
def test_wrong_sources_are_refused(source: Any, message: str) -> None:
    """With the place in a list."""
    with pytest.raises(LoaderError, match=message):
        opened(source)


def test_a_folder_in_a_list_is_refused(voc_tree: Path) -> None:
    """A list is one of files."""
    with pytest.raises(LoaderError, match=r"^source\[1\] .*JPEGImages is a folder, but a list"):
        opened(["a.jpg", voc_tree / "JPEGImages"])


def test_ranks_out_of_range_are_named_without_code(packed: Path) -> None:
    """As numbers."""
    with pytest.raises(
        LoaderError, match=r"^rank must be 0 to world_size - 1, got 2 of world_size 2"
    ):
        opened(packed, rank=2, world_size=2)


def test_numbers_of_numpy_are_numbers(packed: Path) -> None:
    """And the state has Python's, as JSON needs them."""
    plain = opened(packed, batch_size=4, seed=3, shuffle=True, mean=(0.5, 0.25, 0.5))
    numpy = opened(
        packed,
        batch_size=np.int64(4),
        seed=np.uint8(3),
        shuffle=np.bool_(True),
        mean=np.array([0.5, 0.25, 0.5], np.float32),
    )
    assert repr(numpy.state_dict()) == repr(plain.state_dict())


@pytest.mark.parametrize("state", [None, [], "x", 3])
def test_states_that_are_none_are_refused(packed: Path, state: Any) -> None:
    """By what they are."""
    with pytest.raises(LoaderError, match=r"^state must be what state_dict"):
        opened(packed).load_state_dict(state)


@pytest.mark.parametrize("epoch", ["a", 1.5, True, None, -1])
def test_epochs_are_whole_numbers(packed: Path, epoch: Any) -> None:
    """Not below 0."""
    with pytest.raises(LoaderError, match=r"^epoch must "):
        opened(packed).set_epoch(epoch)


@pytest.mark.parametrize(
    "images",
    [np.zeros((1, 3, 4, 4), np.uint8), torch.zeros(3, 4, 4), torch.zeros(1, 4, 4, 3), None],
    ids=["ndarray", "one image", "channels last", "None"],
)
def test_normalize_takes_batches_of_images(packed: Path, images: Any) -> None:
    """Tensors of the shape that batches have."""
    with pytest.raises(LoaderError, match=r"^images must be a tensor of shape \(N, 3, H, W\)"):
        opened(packed).normalize(images)


def test_difficult_is_checked_without_labels_too(voc_tree: Path, tmp_path: Path) -> None:
    """A rule that there is has no effect there."""
    file = next((voc_tree / "JPEGImages").iterdir())
    shutil.copy(file, tmp_path / file.name)
    with pytest.raises(EvalError, match="difficult 'x' is not one of"):
        opened(tmp_path, difficult="x")
    state = opened(tmp_path, difficult="positive").state_dict()
    opened(tmp_path, difficult="negative").load_state_dict(state)
