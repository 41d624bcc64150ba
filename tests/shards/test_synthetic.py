"""The drawn VOC tree: what it holds, and that it can be learned from."""

from __future__ import annotations

import hashlib
import io
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from shards.classes import VOC_CLASSES
from shards.sources.voc.read import read_voc
from shards.synthetic.appearance import LOOKS
from shards.synthetic.voc import draw_photo, draw_voc


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 images, the fewest that promise every class in train and in val."""
    return draw_voc(tmp_path_factory.mktemp("drawn") / "VOC2012", images=60, seed=3)


def marks(tree: Path, name: str, split: str) -> dict[str, int]:
    """Key -> 1, 0 or -1, from a class's list."""
    text = (tree / "ImageSets" / "Main" / f"{name}_{split}.txt").read_text()
    return {key: int(mark) for key, mark in (line.split() for line in text.splitlines())}


def seen(tree: Path, key: str) -> dict[str, int]:
    """Class -> 1 or 0 (only difficult), from the image's annotation."""
    found: dict[str, int] = {}
    for thing in ET.parse(tree / "Annotations" / f"{key}.xml").iter("object"):
        name, difficult = thing.findtext("name", ""), thing.findtext("difficult")
        found[name] = max(found.get(name, 0), int(difficult == "0"))
    return found


def digest(tree: Path) -> dict[str, str]:
    """Hash of every file."""
    return {
        str(file.relative_to(tree)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(tree.rglob("*"))
        if file.is_file()
    }


def test_looks_are_those_of_vocs_classes() -> None:
    """There is one look for each of VOC's 20 classes, in the devkit's order."""
    assert tuple(LOOKS) == VOC_CLASSES


def test_no_two_classes_share_shape_and_colors() -> None:
    """Any two classes differ in both their shape and their colors."""
    looks = list(LOOKS.values())
    boxes = [look for look in looks if look.parts == LOOKS["bus"].parts]
    assert len({look.parts for look in looks}) == len(looks) - len(boxes) + 1
    assert len({look.aspect for look in boxes}) == len(boxes)
    assert len({look.colors for look in looks}) == len(looks)


def test_images_are_jpegs_of_the_size_asked_for(tree: Path) -> None:
    """Every image is a 4:2:0 JPEG of 160 by 120 pixels that decodes without a warning."""
    files = sorted((tree / "JPEGImages").iterdir())
    assert len(files) == 60
    for file in files:
        height, width, _, subsampling = simplejpeg.decode_jpeg_header(file.read_bytes())
        assert (width, height, subsampling) == (160, 120, "420")
        simplejpeg.decode_jpeg(file.read_bytes(), strict=True)


def test_annotations_have_vocs_elements(tree: Path) -> None:
    """Each annotation names its image, its size, and objects with boxes inside it."""
    for file in (tree / "Annotations").iterdir():
        root = ET.parse(file).getroot()
        assert root.findtext("folder") == "VOC2012"
        assert root.findtext("filename") == f"{file.stem}.jpg"
        assert [root.findtext(f"size/{side}") for side in ("width", "height", "depth")] == [
            "160",
            "120",
            "3",
        ]
        assert root.findtext("segmented") == "0"
        assert root.find("object") is not None
        for thing in root.iter("object"):
            parts = [part.tag for part in thing]
            assert parts == ["name", "pose", "truncated", "difficult", "bndbox"]
            x0, y0, x1, y1 = (int(side.text or "") for side in thing.iterfind("bndbox/*"))
            assert 1 <= x0 < x1 <= 160
            assert 1 <= y0 < y1 <= 120


def test_lists_agree_with_annotations(tree: Path) -> None:
    """1, 0 and -1 in a class's list mean present, only difficult and absent in the annotation."""
    for split in ("train", "val", "trainval", "test"):
        keys = (tree / "ImageSets" / "Main" / f"{split}.txt").read_text().split()
        for name in VOC_CLASSES:
            assert marks(tree, name, split) == {key: seen(tree, key).get(name, -1) for key in keys}


def test_splits_share_the_images_out(tree: Path) -> None:
    """Half of the images are for training, a third for validation, the rest for testing."""
    folder = tree / "ImageSets" / "Main"
    keys = {s: (folder / f"{s}.txt").read_text().split() for s in ("train", "val", "test")}
    assert {split: len(members) for split, members in keys.items()} == {
        "train": 30,
        "val": 20,
        "test": 10,
    }
    together = sorted(keys["train"] + keys["val"])
    assert sorted((folder / "trainval.txt").read_text().split()) == together
    assert sorted(together + keys["test"]) == sorted(
        file.stem for file in (tree / "JPEGImages").iterdir()
    )


def test_every_class_is_in_train_and_val(tree: Path) -> None:
    """From 60 images on, train and val hold each class at least once, not as difficult."""
    for split in ("train", "val"):
        for name in VOC_CLASSES:
            assert 1 in marks(tree, name, split).values(), (split, name)


def test_labels_are_mixed_as_in_voc(tmp_path: Path) -> None:
    """1.4 to 1.8 classes an image, one to four each, persons the most, some only difficult."""
    tree = draw_voc(tmp_path / "v", images=400, width=64, height=48, lists=False)
    found = [seen(tree, file.stem) for file in (tree / "Annotations").iterdir()]
    counts = [sum(mark == 1 for mark in one.values()) for one in found]
    assert set(counts) == {1, 2, 3, 4}
    assert 1.4 < np.mean(counts) < 1.8
    images = {name: sum(one.get(name) == 1 for one in found) for name in VOC_CLASSES}
    assert max(images, key=lambda name: images[name]) == "person"
    assert min(images.values()) >= 5
    assert 0.05 < np.mean([0 in one.values() for one in found]) < 0.15


def test_a_class_can_be_both_difficult_and_present(tmp_path: Path) -> None:
    """Some images hold an ordinary and a difficult instance of one class: it is present."""
    tree = draw_voc(tmp_path / "v", images=150, width=64, height=48)
    both = 0
    for file in (tree / "Annotations").iterdir():
        kinds: dict[str, set[str]] = {}
        for thing in ET.parse(file).iter("object"):
            kinds.setdefault(thing.findtext("name", ""), set()).add(thing.findtext("difficult", ""))
        both += any(kind == {"0", "1"} for kind in kinds.values())
    assert both > 0


def test_difficult_objects_are_small(tree: Path) -> None:
    """A difficult object covers less than a fifth of what an ordinary one does."""
    areas: dict[str, list[int]] = {"0": [], "1": []}
    for file in (tree / "Annotations").iterdir():
        for thing in ET.parse(file).iter("object"):
            x0, y0, x1, y1 = (int(side.text or "") for side in thing.iterfind("bndbox/*"))
            areas[thing.findtext("difficult", "")].append((x1 - x0) * (y1 - y0))
    assert len(areas["1"]) >= 3
    assert np.mean(areas["1"]) < 0.2 * np.mean(areas["0"])


def test_objects_stand_where_their_boxes_say(tree: Path) -> None:
    """Inside the box of an ordinary object its own colors are found; most outside are not."""
    near = []
    for file in sorted((tree / "Annotations").iterdir()):
        root = ET.parse(file)
        things = list(root.iter("object"))
        if len(things) != 1:
            continue
        image = Image.open(tree / "JPEGImages" / f"{file.stem}.jpg")
        pixels = np.asarray(image, dtype=np.float64)
        hue = pixels / (np.linalg.norm(pixels, axis=-1, keepdims=True) + 1e-9)
        own = np.array(LOOKS[things[0].findtext("name", "")].colors, dtype=np.float64)
        own /= np.linalg.norm(own, axis=-1, keepdims=True)
        like = ((hue[..., None, :] * own).sum(-1).max(-1)) > 0.995
        x0, y0, x1, y1 = (int(side.text or "") for side in things[0].iterfind("bndbox/*"))
        inside = np.zeros(like.shape, dtype=bool)
        inside[y0 - 1 : y1, x0 - 1 : x1] = True
        near.append((like[inside].mean(), like[~inside].mean()))
    share = np.mean(near, axis=0)
    assert len(near) > 15
    assert share[0] > 0.35
    assert share[0] > 2 * share[1]


def test_the_reader_takes_the_tree_without_a_complaint(tree: Path) -> None:
    """read_voc finds every image, rejects none, and reads the labels of the class lists."""
    found = read_voc(tree)
    assert len(found.samples) == 60
    assert not found.rejected
    assert {split: len(paths) for split, paths in found.splits.items()} == {
        "train": 30,
        "val": 20,
        "trainval": 50,
        "test": 10,
    }
    for sample in found.samples:
        labels = {**dict.fromkeys(sample.present, 1), **dict.fromkeys(sample.difficult, 0)}
        assert labels == seen(tree, Path(sample.path).stem)


def test_equal_arguments_give_equal_bytes(tmp_path: Path) -> None:
    """The same seed draws the same files, another seed other images."""
    trees = [
        draw_voc(tmp_path / folder / "V", images=12, seed=seed, width=64, height=48)
        for folder, seed in (("a", 5), ("b", 5), ("c", 6))
    ]
    one, same, other = (digest(tree) for tree in trees)
    assert one == same
    images = [name for name in one if name.endswith(".jpg")]
    assert len(images) == 12
    assert not {one[name] for name in images} & {other[name] for name in images}


def test_lists_can_be_left_out(tmp_path: Path) -> None:
    """Without lists there is no ImageSets folder, and the images are the same."""
    with_lists = digest(draw_voc(tmp_path / "a" / "V", images=6, width=64, height=48))
    without = digest(draw_voc(tmp_path / "b" / "V", images=6, width=64, height=48, lists=False))
    assert {n: h for n, h in with_lists.items() if not n.startswith("ImageSets")} == without
    assert len(with_lists) == len(without) + 4 * 21


def test_colors_and_textures_tell_the_classes_apart(tmp_path: Path) -> None:
    """A nearest-neighbor look at color histograms alone ranks far above chance."""
    tree = draw_voc(tmp_path / "v", images=300, seed=2)
    folder = tree / "ImageSets" / "Main"
    features, labels = {}, {}
    for split in ("train", "val"):
        keys = (folder / f"{split}.txt").read_text().split()
        rows = []
        for key in keys:
            pixels = np.asarray(Image.open(tree / "JPEGImages" / f"{key}.jpg")) // 52
            bins = pixels.astype(int) @ [25, 5, 1]
            rows.append(np.sqrt(np.bincount(bins.ravel(), minlength=125)))
        features[split] = np.stack(rows) / np.linalg.norm(rows, axis=1, keepdims=True)
        table = [[seen(tree, key).get(name) == 1 for name in VOC_CLASSES] for key in keys]
        labels[split] = np.array(table, dtype=np.float64)
    alike = np.exp(20 * features["val"] @ features["train"].T)
    scores = alike @ labels["train"] / alike.sum(1, keepdims=True)
    order = np.argsort(-scores, axis=0)
    ranked = np.take_along_axis(labels["val"], order, axis=0)
    precision = ranked.cumsum(0) / np.arange(1, len(ranked) + 1)[:, None]
    mean = ((precision * ranked).sum(0) / ranked.sum(0)).mean()
    assert mean > 3 * labels["val"].mean()


def test_a_hundred_images_take_less_than_a_second(tmp_path: Path) -> None:
    """Drawing 50 images of 160 by 120 takes under half a second of processor time."""
    started = time.process_time()
    draw_voc(tmp_path / "v", images=50, lists=False)
    assert time.process_time() - started < 0.5


def test_a_photograph_has_the_bytes_of_one() -> None:
    """Ten drawn photographs are 500 by 375, 4:2:0, quality 95 as VOC's, and 88 KB on average."""
    photos = [draw_photo(seed=seed) for seed in range(10)]
    assert len(set(photos)) == 10
    assert draw_photo(seed=4) == photos[4]
    assert 0.85 * 88_000 < np.mean([len(photo) for photo in photos]) < 1.15 * 88_000
    for photo in photos:
        assert simplejpeg.decode_jpeg_header(photo)[:2] == (375, 500)
        assert simplejpeg.decode_jpeg_header(photo)[3] == "420"
        pixels = np.asarray(Image.open(io.BytesIO(photo)))
        clipped = (pixels == 0) | (pixels == 255)
        assert clipped.mean() < 0.05
    assert len(draw_photo(64, 48, quality=50)) < len(draw_photo(64, 48, quality=95))


def test_a_photograph_costs_a_decoder_what_a_real_one_does(voc_data: Path) -> None:
    """Drawn photographs hold the bytes a pixel of real ones, within a quarter."""
    files = sorted((voc_data / "voc2012-100" / "JPEGImages").glob("*.jpg"))
    sizes = []
    for file in files:
        data = file.read_bytes()
        height, width = simplejpeg.decode_jpeg_header(data)[:2]
        sizes.append(len(data) / (height * width))
    drawn = [len(draw_photo(seed=seed)) / (500 * 375) for seed in range(5)]
    assert np.mean(drawn) == pytest.approx(np.mean(sizes), rel=0.25)
