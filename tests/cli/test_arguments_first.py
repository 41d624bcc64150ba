"""What can be refused is refused before torch is loaded: at once, and not after seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from vocscore.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

CARD = {
    "format": 1,
    "weights_sha256": "0" * 64,
    "backbone": "squeezenet1_1",
    "preprocess": {
        "size": 64,
        "upright": True,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
    },
    "threshold": 0.5,
    "weights": "none",
}

PROGRAM = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from vocscore.cli.main import main
for words in json.load(sys.stdin):
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        try:
            main.main(words, prog_name="vocscore")
        except SystemExit as end:
            code = end.code
    slow = sorted({"torch", "matplotlib", "sklearn", "openvino"} & set(sys.modules))
    print(json.dumps([code, said.getvalue(), slow]))
"""

TRAIN = ["train", "shards", "-o", "new", "--weights", "none"]
SCORE = ["score", "images", "-m", "run", "-o", "p.csv"]
CASES = [
    ([*TRAIN, "--train-split", "nosuch"], "no split 'nosuch'"),
    ([*TRAIN, "--val-split", "train,nosuch"], "named twice"),
    ([*TRAIN, "--val-split", "nosuch"], "no split 'nosuch'"),
    (["train", "shards", "-o", "run"], "already holds a"),
    (["train", "empty", "-o", "new"], "no dataset.json"),
    ([*TRAIN, "--recipe", "nosuch"], "recipe 'nosuch'"),
    ([*TRAIN, "--recipe", "bad.toml"], "no option is called 'learnin_rate'"),
    ([*TRAIN, "--thresholds", "f2"], "thresholds 'f2'"),
    ([*TRAIN, "--warmup", "99"], "warm-up"),
    ([*TRAIN, "--flip", "0.5"], "need --tune all"),
    ([*TRAIN, "--device", "gpu"], "device 'gpu'"),
    ([*TRAIN, "--precision", "int4"], "--precision"),
    ([*TRAIN, "--backbone", "resnet19"], "Similar: resnet18"),
    (["train", "shards", "-o", "new", "--weights", "nowhere.pth"], "no such file"),
    (["train", "shards", "-o", "new", "--weights", "page.pth"], "an HTML page"),
    (["train", "shards", "-o", "new", "--weights", "empty.pth"], "an empty file"),
    (["train", "shards", "-o", "new", "--weights", "empty"], "a folder, not a file"),
    (["train", "shards", "-o", "new", "--weights", "run"], "Add --backbone squeezenet1_1"),
    ([*TRAIN, "--resume", "--overwrite"], "give only one of them"),
    ([*SCORE[:3], "empty", "-o", "p.csv"], "model.json"),
    ([*SCORE[:3], "cut", "-o", "p.csv"], "not JSON"),
    ([*SCORE[:3], "noweights", "-o", "p.csv"], "model.safetensors"),
    ([*SCORE, "--precision", "int8"], "vocscore quantize"),
    ([*SCORE, "--precision", "int8", "--device", "cuda"], "CPU only"),
    ([*SCORE, "--precision", "int8", "--devices", "0,1"], "CPU only"),
    ([*SCORE, "--device", "cuda:x"], "device 'cuda:x'"),
    ([*SCORE, "--devices", "cpu,tpu"], "device 'tpu'"),
    ([*SCORE, "--devices", "0,cpu"], "Name only GPUs"),
    ([*SCORE[:-1], "there.csv"], "already exists"),
    ([*SCORE[:-1], "p.xlsx"], "the format is not clear from the name"),
    (["score", "nowhere", *SCORE[2:]], "no such file"),
    (["score", "empty", *SCORE[2:]], "no image"),
    ([*SCORE, "--include", "*.nothing"], "leaves none"),
    ([*SCORE, "--quarantine", "images/bad"], "copies would become inputs"),
    (["eval", "nowhere.csv", "shards"], "no such file"),
    (["eval", "there.csv", "empty"], "no dataset.json"),
    (["eval", "there.csv", "shards", "--split", "nosuch"], "no split 'nosuch'"),
    (["quantize", "empty"], "no model.json"),
    (["quantize", "run"], "config.json"),
    (["quantize", "run", "--shards", "empty"], "no dataset.json"),
    (["quantize", "run", "--shards", "shards", "--split", "nosuch"], "no split 'nosuch'"),
    (["quantize", "other", "--shards", "shards"], "classes differ"),
    (["export", "run", "-o", "m.tflite"], "ends in .onnx"),
    (["export", "run", "-o", "nowhere/m.onnx"], "no such folder"),
    (["export", "run", "-o", "there.xml"], "already exists"),
    (["export", "empty", "-o", "m.xml"], "model.json"),
    (["export", "run", "-o", "m.xml", "--shards", "shards", "--split", "nosuch"], "no split"),
    (["export", "run", "-o", "m.xml", "--images", "empty"], "no images"),
]


@pytest.fixture(scope="module")
def refusals(
    voc_tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[int, str, list[str]]]:
    """Command -> exit code, what it said, and which slow libraries were loaded by then."""
    place = tmp_path_factory.mktemp("first")
    packed = CliRunner().invoke(main, ["pack", str(voc_tree), "-o", str(place / "shards"), "-q"])
    assert packed.exit_code == 0
    classes = json.loads((place / "shards" / "dataset.json").read_bytes())["classes"]
    for name in ("run", "other", "cut", "noweights", "empty", "images"):
        (place / name).mkdir()
    for name, card in (
        ("run", {**CARD, "classes": classes}),
        ("noweights", {**CARD, "classes": classes}),
        ("other", {**CARD, "classes": ["one"]}),
    ):
        (place / name / "model.json").write_text(json.dumps(card))
        (place / name / "model.safetensors").write_bytes(b"x")
    (place / "noweights" / "model.safetensors").unlink()
    (place / "cut" / "model.json").write_text("{")
    image = next((voc_tree / "JPEGImages").iterdir())
    (place / "images" / "a.jpg").write_bytes(image.read_bytes())
    (place / "page.pth").write_text("<!DOCTYPE html><html>")
    (place / "bad.toml").write_text("learnin_rate = 1\n")
    columns = ["path", "status", "error", *classes, "labels"]
    row = ["a.jpg", "ok", "", *["0.1"] * len(classes), ""]
    (place / "there.csv").write_text(f"{','.join(columns)}\n{','.join(row)}\n")
    for name in ("empty.pth", "there.xml"):
        (place / name).write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([words for words, _ in CASES]),
        cwd=place,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert not (place / "new").exists()
    return {" ".join(words): tuple(line) for (words, _), line in zip(CASES, lines, strict=True)}


@pytest.mark.parametrize(("words", "part"), CASES, ids=[" ".join(words) for words, _ in CASES])
def test_refused_before_anything_slow_is_loaded(
    refusals: dict[str, tuple[int, str, list[str]]], words: list[str], part: str
) -> None:
    """Exit code 2 and the line, with neither torch nor what else takes long in memory."""
    code, said, slow = refusals[" ".join(words)]
    assert code == 2, said
    assert part in said.splitlines()[-1]
    assert slow == []
