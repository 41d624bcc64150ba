"""`Model.predict` beside `vocscore score`, and beside Pillow and PyTorch."""

from __future__ import annotations

import io
import multiprocessing
import os
import shutil
import signal
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

import vocscore as vs
from vocscore.errors import CheckpointError, ScoreError
from vocscore.models.checkpoint import load_checkpoint


def assert_equal_rows(predictions, rows, numbers):
    """The same paths, bits, labels and errors."""
    predictions = list(predictions)
    assert [one.path for one in predictions] == [row["path"] for row in rows]
    for one, row in zip(predictions, rows, strict=True):
        assert one.vector.dtype == np.float32
        np.testing.assert_array_equal(one.vector, numbers(row))
        assert ";".join(one.labels) == row["labels"]
        assert (str(one.error) if one.error else "") == row["error"]


def test_a_list_of_paths_equals_the_rows_of_score_to_the_bit(
    model, paths, csv_rows, numbers, tmp_path
):
    """In any order, with repeats, with files that are broken, empty, missing or no images."""
    broken, empty, text = (tmp_path / name for name in ("broken.jpg", "empty.png", "page.html"))
    broken.write_bytes(Path(paths[3]).read_bytes()[:-300])
    empty.touch()
    text.write_text("<html>404</html>")
    listed = [*paths[20:], *map(str, (broken, empty, text)), "gone.jpg", *paths[:20], paths[5]]
    listed += ["ftp://example.org/a.jpg", str(tmp_path / "old.zip")]
    (tmp_path / "old.zip").write_bytes(b"PK\3\4")
    (tmp_path / "list.txt").write_text("".join(f"{path}\n" for path in listed))
    rows = csv_rows(tmp_path / "list.txt")
    assert {row["error"].partition(":")[0] for row in rows} == {
        *("", "truncated", "empty", "unsupported", "vanished")
    }
    spread = np.stack([numbers(row) for row in rows if row["status"] == "ok"]).std(axis=0)
    assert (spread > 0.02).all()  # else rows could be swapped unnoticed
    assert_equal_rows(model.predict(listed), rows, numbers)


def test_a_folder_equals_the_rows_of_score(model, photos, csv_rows, numbers):
    """Its images in the same order; their paths can be opened."""
    rows = csv_rows(photos)
    found = list(model.predict(photos))
    for row, one in zip(rows, found, strict=True):
        assert one.path == f"{photos}/{row['path']}"
        row["path"] = one.path
    assert_equal_rows(found, rows, numbers)
    assert_equal_rows(model.predict([photos]), rows, numbers)


def test_tars_equal_the_rows_of_score(model, paths, csv_rows, numbers, tmp_path):
    """A tar begins a group, so several in a folder, or beside files, are what they are alone."""
    for name, members in (("a.tar", paths[:35]), ("b.tar", paths[35:])):
        with tarfile.open(tmp_path / name, "w") as tar:
            for path in members:
                tar.add(path, Path(path).name)
    rows = csv_rows(tmp_path)
    assert_equal_rows(model.predict(tmp_path), rows, numbers)
    mixed = list(model.predict([paths[0], tmp_path / "a.tar", paths[1]]))
    assert_equal_rows(mixed[1:-1], rows[:35], numbers)
    assert [mixed[0].path, mixed[-1].path] == paths[:2]


def test_a_tar_that_is_damaged_is_a_result_or_a_warning(model, paths, tmp_path):
    """What comes before the damage is scored; of one that gives nothing the result says why."""
    with tarfile.open(tmp_path / "cut.tar", "w") as tar:
        for path in paths[:2]:
            tar.add(path, Path(path).name)
    whole = (tmp_path / "cut.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2])
    with pytest.warns(RuntimeWarning, match="images before it can be read"):
        assert len(list(model.predict(tmp_path / "cut.tar"))) == 1
    (tmp_path / "none.tar").write_bytes(b"\1" * 2048)
    (one,) = model.predict(tmp_path / "none.tar")
    assert one.error.reason == "corrupt"


def test_probabilities_are_those_of_pillow_and_pytorch(run_folder, model, paths):
    """By brute force: decoded by Pillow, one image at a time, the network as it was saved."""
    network, card = load_checkpoint(run_folder)
    with vs.load(run_folder, device="cpu", loader="reference") as exact:
        found = list(exact.predict(paths))
    host = list(model.predict(paths))
    for path, one, fast in zip(paths, found, host, strict=True):
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        side = (card.preprocess.size,) * 2
        pixels = np.asarray(image.resize(side, Image.Resampling.BILINEAR)) / 255.0
        plane = (pixels - card.preprocess.mean) / card.preprocess.std
        with torch.inference_mode():
            logits = network(torch.tensor(plane, dtype=torch.float32).permute(2, 0, 1)[None])
        twin = torch.sigmoid(logits)[0].numpy()
        assert np.abs(one.vector - twin).max() < 1e-5
        assert np.abs(fast.vector - twin).max() < 0.02
        assert one.probabilities == dict(zip(card.classes, one.vector.tolist(), strict=True))
        above = zip(card.classes, one.vector, card.thresholds, strict=True)
        assert one.labels == tuple(name for name, value, least in above if value >= least)


def test_images_in_memory_are_what_their_files_are(model, paths):
    """Bytes, PIL images, arrays and tensors, mixed with paths, in order, within 1e-6."""

    def forms(number, path):
        image = Image.open(path)
        return [
            path,
            Path(path),
            Path(path).read_bytes(),
            bytearray(Path(path).read_bytes()),
            image,
            np.asarray(image.convert("RGB")),
            np.asarray(image.convert("RGBA")),
            torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1),
        ][number % 8]

    expected = [one.vector for one in model.predict(paths)]
    mixed = list(model.predict([forms(number, path) for number, path in enumerate(paths)]))
    assert [one.path for one in mixed] == [
        path if number % 8 < 2 else None for number, path in enumerate(paths)
    ]
    for one, vector in zip(mixed, expected, strict=True):
        assert one.error is None
        np.testing.assert_allclose(one.vector, vector, rtol=0, atol=1e-6)


def test_one_input_works_like_a_list_of_one(model, paths):
    """A path, bytes, a PIL image, an array; an array of four dimensions is several images."""
    (expected,) = model.predict([paths[0]])
    image = Image.open(paths[0])
    pixels = np.asarray(image)
    for one in (paths[0], Path(paths[0]), Path(paths[0]).read_bytes(), image, pixels):
        (got,) = model.predict(one)
        np.testing.assert_allclose(got.vector, expected.vector, rtol=0, atol=1e-6)
    assert len(list(model.predict(np.stack([pixels, pixels])))) == 2
    assert list(model.predict([])) == []
    assert list(model.predict(iter(()))) == []


def test_gray_arrays_are_repeated(model):
    """(H, W) and (H, W, 1) are what gray files are."""
    gray = np.random.default_rng(0).integers(256, size=(70, 90), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(gray).save(out, "PNG")
    same = [out.getvalue(), gray, gray[:, :, None], np.repeat(gray[:, :, None], 3, axis=2)]
    found = list(model.predict([*same, gray[::-1, ::-1][::-1, ::-1]]))
    for one in found[1:]:
        np.testing.assert_allclose(one.vector, found[0].vector, rtol=0, atol=1e-6)


def test_pil_images_are_turned_by_their_exif_like_files(model, paths, tmp_path):
    """Not where the model does not turn files either, and not twice."""
    image = Image.open(paths[0]).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.png", exif=exif)
    stored = Image.open(tmp_path / "turned.png")
    upright = ImageOps.exif_transpose(stored)
    found = list(model.predict([tmp_path / "turned.png", stored, upright, np.asarray(upright)]))
    for one in found[1:]:
        np.testing.assert_allclose(one.vector, found[0].vector, rtol=0, atol=1e-6)
    (sideways,) = model.predict(np.asarray(stored))
    assert np.abs(sideways.vector - found[0].vector).max() > 1e-3


def test_an_image_that_cannot_be_decoded_is_a_result(run_folder, model, paths):
    """From memory as from the disk: the reason is the stable code, the others are untouched."""
    data = Path(paths[0]).read_bytes()
    cut = Image.open(io.BytesIO(data[: len(data) // 2]))
    bad = [b"", b"<html>", data[:-200], cut, np.zeros((0, 4, 3), np.uint8), Image.new("F", (9, 9))]
    found = list(model.predict([paths[0], *bad, paths[1]]))
    reasons = ["empty", "unsupported", "truncated", "truncated", "empty", "unsupported"]
    assert [one.error and one.error.reason for one in found] == [None, *reasons, None]
    for one in found[1:-1]:
        assert one.labels == ()
        assert np.isnan(list(one.probabilities.values())).all()
        assert one.error.detail
    image = Image.open(paths[0])
    with vs.load(run_folder, device="cpu", max_pixels=image.width * image.height - 1) as strict:
        found = list(strict.predict([paths[0], data, image, np.asarray(image)]))
    assert [one.error.reason for one in found] == ["too_large"] * 4


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        7,
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8, 2), np.uint8),
        np.zeros(8, np.uint8),
        torch.zeros(8, 8, 3, dtype=torch.uint8),
        io.BytesIO(b"data"),
    ],
    ids=lambda wrong: type(wrong).__name__,
)
def test_what_is_no_image_is_refused_in_one_line(model, paths, wrong):
    """It names the place and what is taken; what came before still has its results."""
    results = iter(model.predict([paths[0], wrong]))
    assert next(results).path == paths[0]
    with pytest.raises(TypeError, match=r"^inputs\[1\]: .*Give paths, folders") as raised:
        next(results)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (np.array(7, np.uint8), r"an array of uint8 and shape \(\)\. Give"),
        (np.zeros(8, np.uint8), r"an array of uint8 and shape \(8,\); pass .*tobytes\(\)\. Give"),
        (
            np.zeros(0, np.uint8),
            r"an array of uint8 and shape \(0,\); pass the bytes of a file",
        ),
        (np.zeros(8), r"an array of float64 and shape \(8,\)\. Give"),
        (
            np.zeros((8, 8), np.uint8).view(np.matrix),
            r"a matrix of .*; pass it with np\.asarray",
        ),
        (
            torch.zeros(8, dtype=torch.uint8),
            r"a tensor of .*; pass .* \.numpy\(\)\.tobytes\(\)",
        ),
        (torch.zeros(3, 8, 8, dtype=torch.uint8, device="meta"), r"a tensor without data"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8).to_sparse(), r"a sparse tensor"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8).to_sparse(), r"a sparse tensor"),
    ],
    ids=["0-d", "1-d", "empty", "float", "matrix", "tensor", "meta", "sparse", "sparse 4-d"],
)
def test_arrays_that_are_no_image_are_named_by_their_place(model, wrong, said):
    """Alone and in a list; with what to pass instead."""
    with pytest.raises(TypeError, match=r"^inputs(\[0\])?: " + said):
        list(model.predict(wrong))
    blank = np.zeros((8, 8), np.uint8)
    with pytest.raises(TypeError, match=r"^inputs\[2\]: " + said):
        list(model.predict([blank, blank, wrong]))


def test_an_array_of_paths_has_paths_of_str(model, paths):
    """And an element of one alone; pathlib's too."""
    for inputs in (np.array(paths[:2]), np.array([Path(one) for one in paths[:2]], object)):
        found = [one.path for one in model.predict(inputs)]
        assert (found, {type(one) for one in found}) == (paths[:2], {str})
    assert type(model.predict(np.array(paths)[1])[0].path) is str


def test_messages_do_not_speak_of_the_command_line(model, paths, tmp_path, monkeypatch):
    """Of SRC, of '-' and of files with lists; '-' is a folder like others."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.tar").mkdir()
    (tmp_path / "y.tar").touch()
    os.mkfifo(tmp_path / "z.tar")
    (tmp_path / "a.jpg").mkdir()
    said = []
    for wrong in ("", "-", "x.tar", "y.tar", "z.tar", "a.jpg", "list.txt", "none/"):
        try:
            said += [str(one.error) for one in model.predict([wrong])]
        except ScoreError as error:  # noqa: PERF203
            said.append(str(error))
    assert len(said) == 8
    for line in said:
        assert "SRC" not in line
        assert "'-'" not in line
        assert "list" not in line.replace("list.txt", "")
    with tarfile.open(tmp_path / ".b.tar", "w") as tar:
        tar.add(paths[0], "b.jpg")
    for name in (".b.tar", "./.b.tar", f"../{tmp_path.name}/.b.tar"):
        assert [(one.path, one.error) for one in model.predict(name)] == [(".b.tar/b.jpg", None)]
    shutil.copytree(Path(paths[0]).parent, tmp_path / "-")
    assert len(list(model.predict("-"))) == len(paths)


@pytest.mark.parametrize("wrong", [None, 7, io.BytesIO(b"data")], ids=["None", "int", "file"])
def test_inputs_that_are_none_are_refused_at_once(model, wrong):
    """By the call, and not when results are taken."""
    with pytest.raises(TypeError, match=r"^inputs: "):
        model.predict(wrong)


def test_a_folder_without_images_is_an_error_of_one_line(model, tmp_path):
    """As for `vocscore score`: it is more likely a mistake than a set of no images."""
    with pytest.raises(ScoreError, match="no image in it"):
        list(model.predict(tmp_path))


def test_calls_of_several_threads_and_calls_in_turns_do_not_mix(model, paths):
    """Each gets its own rows, as when it is alone."""
    expected = [one.vector for one in model.predict(paths)]
    back = paths[::-1]

    def run(listed):
        return [(one.path, one.vector) for one in model.predict(listed)]

    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(run, [paths, back]))
    pairs = list(zip(model.predict(paths), model.predict(back), strict=True))
    both += [[(one.path, one.vector) for one in side] for side in zip(*pairs, strict=True)]
    for listed, found in zip([paths, back] * 2, both, strict=True):
        assert [path for path, _ in found] == listed
    for found in (both[0], both[2], both[1][::-1], both[3][::-1]):
        for (_, got), vector in zip(found, expected, strict=True):
            np.testing.assert_allclose(got, vector, rtol=0, atol=1e-6)


def test_it_starts_no_process_handles_no_signal_and_leaves_no_thread(run_folder, paths):
    """Not when results are left, either: what was begun ends with them."""
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    before = set(threading.enumerate())
    with vs.load(run_folder, device="cpu") as model:
        results = iter(model.predict(iter(paths)))
        next(results)
        del results
        assert not multiprocessing.active_children()
        assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert set(threading.enumerate()) <= before


def test_a_closed_model_says_so(run_folder, paths):
    """By the call; and by what was begun before."""
    with vs.load(run_folder, device="cpu") as model:
        later = model.predict(paths)
    with pytest.raises(ScoreError, match="the model is closed"):
        model.predict(paths)
    with pytest.raises(ScoreError, match="the model is closed"):
        model.features(paths)
    with pytest.raises(ScoreError, match="the model is closed"):
        list(later)


def test_a_model_says_what_it_is(model, run_folder):
    """Classes, thresholds of each, size and backbone, as the card has them."""
    assert model.classes == ("cat", "dog", "person")
    np.testing.assert_array_equal(model.thresholds, np.array([0.3, 0.5, 0.7], np.float32))
    assert (model.size, model.backbone) == (32, "squeezenet1_1")
    assert repr(model) == (f"<Model {run_folder}: squeezenet1_1, 3 classes, 32 px, float32 on cpu>")


def test_what_is_no_model_is_refused_in_one_line(tmp_path):
    """With the file that is missing, and what a model is."""
    with pytest.raises(CheckpointError, match="A model is a folder that"):
        vs.load(tmp_path)


def test_a_file_that_goes_before_its_turn_is_a_result(model, paths, tmp_path):
    """The reason is 'vanished'; a folder is listed when results are first taken."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in paths[:3]:
        shutil.copy(path, copy)
    found = model.predict([*sorted(copy.iterdir())])
    min(copy.iterdir()).unlink()
    assert [one.error and one.error.reason for one in found] == ["vanished", None, None]
