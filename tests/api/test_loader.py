"""`vocscore.loader`: the right pixels, labels and rows, epoch by epoch, and no thread left."""

from __future__ import annotations

import gc
import json
import shutil
import tarfile
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from loader_sets import damaged, pack_drawn

from shards.errors import Error
from shards.reader import load_split
from vocscore.api.loader import loader
from vocscore.config.training import AugmentationConfig
from vocscore.errors import LoaderError
from vocscore.pipeline.augment import Views
from vocscore.pipeline.host import HostLoader
from vocscore.pipeline.preprocess import Preprocess
from vocscore.pipeline.thread_pool import OrderedThreadPool

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from vocscore.api.batch_loader import BatchLoader
    from vocscore.pipeline.batch import Batch

SIZE = 32
AUGMENTATION = AugmentationConfig(crop_scale=0.5, flip=0.5, jitter=0.3)


@pytest.fixture(scope="module")
def packed(voc_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack_drawn(voc_tree, tmp_path_factory.mktemp("loader") / "shards")


def opened(source: Any, **changes: Any) -> BatchLoader:
    settings = {"size": SIZE, "batch_size": 8, "workers": 2, "device": "cpu", **changes}
    return loader(source, **settings)


def shuffled(packed: Path, **changes: Any) -> BatchLoader:
    return opened(packed, split="train", shuffle=True, seed=5, **changes)


def taken(batches: Iterable[Batch]) -> list[tuple[list[int], bytes, bytes]]:
    """Rows, pixels and labels of each batch."""
    found = []
    for batch in batches:
        labels = b"" if batch.labels is None else batch.labels.tobytes()
        found.append((batch.rows.tolist(), batch.images.numpy().tobytes(), labels))
    return found


def rows_of(batches: Iterable[Batch]) -> list[int]:
    return [int(row) for batch in batches for row in batch.rows]


def decoding_threads() -> int:
    return sum(thread.name.startswith("vocscore-") for thread in threading.enumerate())


def pixels_by_row(batches: Iterable[Batch]) -> dict[int, np.ndarray]:
    return {
        int(row): pixels
        for batch in batches
        for row, pixels in zip(batch.rows, batch.images.numpy(), strict=True)
    }


def test_labels_paths_and_rows_belong_together(packed: Path) -> None:
    """Path and classes of each row are those of the description beside its image in the tar."""
    described = {}
    for tar in sorted(packed.glob("train-*.tar")):
        with tarfile.open(tar) as members:
            for name in members.getnames():
                if name.endswith(".json"):
                    value = json.load(members.extractfile(name))  # type: ignore[arg-type]
                    described[value["path"]] = value
    loading = shuffled(packed)
    seen = []
    for batch in loading:
        assert batch.labels is not None
        for row, labels in zip(batch.rows, batch.labels, strict=True):
            value = described[loading.paths[row]]
            assert [loading.classes[c] for c in np.flatnonzero(labels == 1)] == value["labels"]
            assert [loading.classes[c] for c in np.flatnonzero(labels == -1)] == value["difficult"]
            seen.append(loading.paths[row])
    assert sorted(seen) == sorted(described)
    assert (load_split(packed, "train").labels == loading.labels).all()


@pytest.mark.parametrize("augmentation", [None, AUGMENTATION], ids=["plain", "augmented"])
def test_pixels_are_those_of_the_host_loader(
    packed: Path, augmentation: AugmentationConfig | None
) -> None:
    """To the bit, with the views that training draws for the same seed, epoch and row."""
    refs = load_split(packed, "train").images
    views = None if augmentation is None else Views(augmentation, seed=5, epoch=1)
    with HostLoader(Preprocess(size=SIZE), batch_size=7, threads=1, max_pixels=10**6) as loader:
        expected = pixels_by_row(loader.batches(refs, views=views))
    found = pixels_by_row(shuffled(packed, augmentation=augmentation))
    assert found.keys() == expected.keys()
    for row, pixels in expected.items():
        assert (found[row] == pixels).all()


def test_pixels_are_those_of_pillow_within_the_tolerance(packed: Path) -> None:
    """The reference loader decodes and resizes with Pillow alone: one level of 255 apart."""
    found = pixels_by_row(opened(packed, split="val"))
    expected = pixels_by_row(opened(packed, split="val", loader="reference"))
    for row, pixels in expected.items():
        difference = np.abs(found[row].astype(int) - pixels.astype(int))
        assert difference.max() <= 1
        assert difference.mean() <= 0.25


def test_epochs_follow_each_other_and_can_be_chosen(packed: Path) -> None:
    """Each has an order of its own, which is that of training with this seed and epoch."""
    loading = shuffled(packed)
    for epoch in (1, 2):
        assert loading.epoch == epoch
        order = np.random.default_rng((5, epoch)).permutation(30).tolist()
        assert rows_of(loading) == order
    loading.set_epoch(1)
    assert rows_of(loading) == np.random.default_rng((5, 1)).permutation(30).tolist()


def test_an_epoch_that_was_broken_off_counts(packed: Path) -> None:
    """The next loop is the next epoch, from its beginning."""
    loading = shuffled(packed)
    next(iter(loading))
    assert rows_of(loading) == np.random.default_rng((5, 2)).permutation(30).tolist()


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
def test_ranks_share_the_rows(packed: Path, world_size: int) -> None:
    """Each row is on one rank, and augmented as it would be on a single one."""
    alone = pixels_by_row(shuffled(packed, augmentation=AUGMENTATION))
    found: dict[int, np.ndarray] = {}
    for rank in range(world_size):
        loading = shuffled(
            packed, rank=rank, world_size=world_size, augmentation=AUGMENTATION, batch_size=4
        )
        batches = list(loading)
        assert len(batches) == len(loading)
        own = pixels_by_row(batches)
        assert not own.keys() & found.keys()
        found |= own
    assert found.keys() == alone.keys()
    assert all((found[row] == alone[row]).all() for row in alone)


def test_ranks_with_no_row_of_the_last_step_keep_one_for_it(packed: Path) -> None:
    """30 rows in steps of 2 x 7 leave 2, of 4 x 7 leave 2: batches come as the plan has them."""
    for rank in range(4):
        loading = shuffled(packed, rank=rank, world_size=4, batch_size=7)
        sizes = [len(batch.rows) for batch in loading]
        assert sizes == ([7, 1] if rank < 2 else [6, 1])


@pytest.mark.parametrize("done", range(5))
def test_a_state_gives_exactly_the_remaining_batches(packed: Path, done: int) -> None:
    """After any batch, through JSON, in a new loader: the same bytes, and then the next epoch."""
    whole = shuffled(packed, augmentation=AUGMENTATION)
    first = iter(whole)
    for _ in range(done):
        next(first)
    state = json.loads(json.dumps(whole.state_dict()))
    rest, following = taken(first), taken(whole)
    resumed = shuffled(packed, augmentation=AUGMENTATION, workers=1)
    resumed.load_state_dict(state)
    resumed.set_epoch(1)  # as loops with a counter of epochs do: the position stays
    assert taken(resumed) == rest
    assert taken(resumed) == following
    assert len(rest) == 4 - done


def test_the_state_between_epochs_is_the_begin_of_the_next(packed: Path) -> None:
    """Nothing is repeated and nothing left out."""
    whole = shuffled(packed)
    rows_of(whole)
    state = whole.state_dict()
    resumed = shuffled(packed)
    resumed.load_state_dict(state)
    assert resumed.epoch == 2
    assert rows_of(resumed) == rows_of(whole)


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 6},
        {"batch_size": 4},
        {"split": "val"},
        {"world_size": 2},
        {"shuffle": False},
        {"size": 16},
        {"mean": (0, 0, 0)},
        {"std": (1, 1, 1)},
        {"augmentation": AUGMENTATION},
        {"difficult": "positive"},
        {"on_error": "skip"},
    ],
    ids=str,
)
def test_a_state_of_other_batches_is_refused(packed: Path, other: dict[str, Any]) -> None:
    """The message names what differs; the state went through JSON."""
    state = json.loads(json.dumps(shuffled(packed).state_dict()))
    shuffled(packed).load_state_dict(state)
    settings = {"split": "train", "shuffle": True, "seed": 5, **other}
    name = next(iter(other)).replace("split", "images")
    with pytest.raises(LoaderError, match=f"the state has {name} "):
        opened(packed, **settings).load_state_dict(state)


@pytest.mark.parametrize(
    "damage", [{"epoch": "1"}, {"epoch": -1}, {"batches_done": 9}, {"batches_done": None}]
)
def test_a_damaged_state_is_refused(packed: Path, damage: dict[str, Any]) -> None:
    """Before it can lead anywhere."""
    loading = shuffled(packed)
    with pytest.raises(LoaderError, match="damaged"):
        loading.load_state_dict({**loading.state_dict(), **damage})


def test_threads_end_with_the_loop(packed: Path) -> None:
    """At its end, at a break, at an exception, when it is dropped, at close: no thread is left."""
    loading = shuffled(packed)
    before = decoding_threads()
    for _ in loading:
        assert decoding_threads() == before + 2
    assert decoding_threads() == before
    for _ in loading:
        break
    assert decoding_threads() == before
    with suppress(ZeroDivisionError):
        for batch in loading:
            len(batch.rows) / 0
    assert decoding_threads() == before
    held = iter(loading)
    next(held)
    del held
    assert decoding_threads() == before
    held = iter(loading)
    next(held)
    loading.close()
    assert decoding_threads() == before
    with loading:
        held = iter(loading)
        next(held)
    assert decoding_threads() == before


def test_threads_end_with_a_loader_in_a_cycle_of_references(packed: Path) -> None:
    """Garbage collection is enough, in whichever thread it runs."""
    before = decoding_threads()
    cycle: list[Any] = [iter(shuffled(packed))]
    cycle.append(cycle)
    next(cycle[0])
    assert decoding_threads() == before + 2
    del cycle
    gc.collect()
    assert decoding_threads() == before


def test_a_pool_can_be_closed_by_one_of_its_threads() -> None:
    """It cannot wait for its own end, and does not try to."""
    crew = OrderedThreadPool(2)
    jobs = crew.ahead([range(1)], work=lambda _job, _position: crew.close())
    assert list(jobs) == [(range(1), [None])]


def test_dali_is_kept_between_epochs_and_ends_with_the_loader(packed: Path) -> None:
    """Its graph takes long to build; `close` and garbage collection end its threads."""
    pytest.importorskip("nvidia.dali")
    before = decoding_threads()
    loading = shuffled(packed, loader="dali")
    first = taken(loading)
    kept = loading._dali
    loading.set_epoch(1)
    assert taken(loading) == first
    assert loading._dali is kept
    loading.close()
    assert decoding_threads() == before
    next(iter(loading))
    del loading, kept
    gc.collect()
    assert decoding_threads() == before


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["host", "dali"])
def test_images_are_on_the_device_that_is_asked_for(packed: Path, kind: str) -> None:
    """Whoever decodes them; and normalized there."""
    loading = shuffled(packed, loader=kind, device="cuda")
    for batch in loading:
        assert batch.images.device == loading.device == torch.device("cuda:0")
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert loading.normalize(batch.images.cpu()).device == loading.device
    loading.close()


def test_a_newer_loop_ends_the_one_before(packed: Path) -> None:
    """The older one says so, rather than to come to an early end without a word."""
    loading = shuffled(packed)
    older = iter(loading)
    next(older)
    newer = iter(loading)
    next(newer)
    with pytest.raises(LoaderError, match="newer one"):
        next(older)
    assert decoding_threads() == 2
    with pytest.raises(LoaderError, match="newer one"):
        list(zip(loading, loading, strict=True))
    newer = older = None  # type: ignore[assignment]


def test_two_loaders_of_one_set_are_independent(packed: Path) -> None:
    """Each has its position."""
    pairs = list(zip(shuffled(packed), shuffled(packed), strict=True))
    assert all((one.images == two.images).all() for one, two in pairs)


def test_an_image_that_cannot_be_decoded_raises(packed: Path, tmp_path: Path) -> None:
    """With its path, the reason and the way round it; the threads end."""
    broken = damaged(packed, tmp_path / "shards", rows=(11,))
    before = decoding_threads()
    loading = opened(broken, split="train")
    batches = iter(loading)
    assert next(batches).rows.tolist() == list(range(8))
    with pytest.raises(LoaderError) as raised:
        next(batches)
    assert loading.paths[11] in str(raised.value)
    assert "corrupt" in str(raised.value)
    assert "on_error='skip'" in str(raised.value)
    assert decoding_threads() == before
    assert loading.state_dict()["batches_done"] == 1


def test_images_that_cannot_be_decoded_are_skipped_and_noted(packed: Path, tmp_path: Path) -> None:
    """The rest of the batch comes with its own labels; a batch with nothing in it does not come."""
    bad = (8, 10, 11)
    broken = damaged(packed, tmp_path / "shards", rows=bad)
    loading = opened(broken, split="train", on_error="skip", batch_size=2)
    for _ in range(2):  # each is noted once, however often it is met
        seen = []
        for batch in loading:
            assert batch.labels is not None
            assert loading.labels is not None
            assert (batch.labels == loading.labels[batch.rows]).all()
            assert len(batch.rows) > 0
            seen += batch.rows.tolist()
        assert seen == [row for row in range(30) if row not in bad]
    assert [one.row for one in loading.skipped] == list(bad)
    assert {one.reason for one in loading.skipped} == {"corrupt"}
    assert [one.path for one in loading.skipped] == [loading.paths[row] for row in bad]
    assert all(one.detail for one in loading.skipped)


def test_splits_are_all_or_those_that_are_named(packed: Path) -> None:
    """Rows count from 0 within what was chosen, in the order in which it is named."""
    train, val = (load_split(packed, name).images for name in ("train", "val"))
    names = {
        None: [*train, *val],
        "val": list(val),
        "val, train": [*val, *train],
        ("val", "train"): [*val, *train],
    }
    assert opened(packed, split=["train", "val"]).paths == opened(packed).paths
    for split, refs in names.items():
        assert list(opened(packed, split=split).paths) == [one.name for one in refs]


def test_folders_lists_and_tars_have_no_labels(
    packed: Path, voc_tree: Path, tmp_path: Path
) -> None:
    """The same images by four ways: pixels are equal, and labels are None."""
    folder = voc_tree / "JPEGImages"
    files = sorted(folder.iterdir())
    (tmp_path / "list.txt").write_text("".join(f"{file}\n" for file in files))
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for file in files:
            tar.add(file, file.name)
    expected = [pixels for _, pixels, _ in taken(opened(folder))]
    for source in (files, [str(file) for file in files], tmp_path / "list.txt", tmp_path / "a.tar"):
        loading = opened(source)
        batches = list(loading)
        assert [pixels for _, pixels, _ in taken(batches)] == expected
        assert loading.labels is None
        assert loading.classes == ()
        assert all(batch.labels is None for batch in batches)
    assert opened(files).paths == tuple(map(str, files))
    assert opened(folder).paths == tuple(file.name for file in files)
    assert opened(packed / "train-000000.tar").labels is None


def test_what_a_source_holds_beside_its_images_is_noted(voc_tree: Path, tmp_path: Path) -> None:
    """A tar among images is left out, and the loader says so."""
    shutil.copy(next((voc_tree / "JPEGImages").iterdir()), tmp_path / "a.jpg")
    assert opened(tmp_path).notes == ()
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        tar.add(tmp_path / "a.jpg", "a.jpg")
    loading = opened(tmp_path)
    assert loading.paths == ("a.jpg",)
    (note,) = loading.notes
    assert "b.tar" in note


def test_sources_that_cannot_be_loaded_are_refused(packed: Path, tmp_path: Path) -> None:
    """Each in one line that says what is missing."""
    (tmp_path / "empty").mkdir()
    unfinished = shutil.copytree(packed, tmp_path / "unfinished")
    (unfinished / "dataset.json").unlink()
    (unfinished / ".progress").mkdir()
    (tmp_path / "no.tar").write_bytes(b"no tar")
    cases: list[tuple[Any, str | None, str]] = [
        (packed, "test", "has no split 'test'. There are: train, val"),
        (packed, "train,train", "named twice"),
        (tmp_path / "none", None, "no such file"),
        (tmp_path / "empty", None, "no image"),
        (tmp_path / "empty", "train", "not a packed set"),
        (unfinished, "train", "unfinished"),
        (tmp_path / "no.tar", None, "no.tar"),
        ([], None, "no image"),
        (["a.jpg"], "train", "no split 'train'"),
    ]
    for source, split, message in cases:
        with pytest.raises(Exception, match=message) as raised:
            opened(source, split=split)
        assert isinstance(raised.value, (Error, Error))
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"on_error": "ignore"},
        {"loader": "fast"},
        {"workers": 0},
        {"batch_size": 0},
        {"size": 0},
        {"preprocess": Preprocess(), "size": 64},
        {"std": (1, 1, 0)},
    ],
    ids=str,
)
def test_impossible_arguments_are_refused(packed: Path, wrong: dict[str, Any]) -> None:
    """At once, with the argument's name."""
    with pytest.raises(LoaderError, match=next(iter(wrong))):
        loader(packed, device="cpu", **wrong)


@pytest.mark.parametrize(("rule", "value"), [("ignore", -1), ("positive", 1), ("negative", 0)])
def test_difficult_labels_are_as_in_training(packed: Path, rule: str, value: int) -> None:
    """-1, 1 or 0 where an image shows only difficult instances of a class."""
    stored = load_split(packed, "train").labels
    assert (stored == -1).any()
    labels = opened(packed, split="train", difficult=rule).labels
    assert labels is not None
    assert (labels[stored == -1] == value).all()
    assert (labels[stored != -1] == stored[stored != -1]).all()


def test_normalize_gives_the_input_of_a_network(packed: Path) -> None:
    """(pixel / 255 - mean) / std, float32."""
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    loading = opened(packed, mean=mean, std=std)
    batch = next(iter(loading))
    expected = (batch.images.double() / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(
        std
    ).view(3, 1, 1)
    found = loading.normalize(batch.images)
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), expected, atol=1e-6)


def test_a_runs_preprocessing_is_taken(packed: Path, tmp_path: Path) -> None:
    """Its size, mean and std, from the model's card alone."""
    wanted = Preprocess(size=48, mean=(0, 0, 0), std=(1, 1, 1))
    card = {
        "format": 1,
        "backbone": "resnet18",
        "classes": ["cat"],
        "preprocess": wanted.to_json(),
        "threshold": 0.5,
        "weights": "none",
    }
    (tmp_path / "model.json").write_text(json.dumps(card))
    loading = loader(packed, preprocess=tmp_path, device="cpu")
    assert loading.preprocess == wanted
    assert next(iter(loading)).images.shape[2:] == (48, 48)


def test_loaders_and_batches_print_what_they_are(packed: Path) -> None:
    """Numbers and shapes, not pixels."""
    loading = shuffled(packed)
    assert repr(loading) == (
        "<BatchLoader: 30 images of 20 classes, 4 batches of up to 8, 32x32 pixels, "
        "shuffled by seed 5, epoch 1>"
    )
    assert repr(next(iter(loading))) == (
        "Batch(images=uint8 (8, 3, 32, 32) on cpu, rows=int64 (8,), labels=int8 (8, 20), "
        "failures=0)"
    )
    one_file = next(iter(opened(packed / "train-000000.tar")))
    assert "labels=None" in repr(one_file)
