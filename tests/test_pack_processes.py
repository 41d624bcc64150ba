"""`vocscore pack --processes`: real processes, which are killed, and what the user reads."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deadly_images import deadly
from pack_runs import image, pack, refused
from webdataset import TarWriter

from shards.errors import PackError
from shards.packing.pack import pack as write_shards
from shards.sample import AnnotatedSet, Sample
from vocscore.config.pack_workers import PackWorkersConfig
from vocscore.config.packing import PackConfig, ShardsConfig
from vocscore.packing import pack as pack_set
from vocscore.packing_workers import pool_of

if TYPE_CHECKING:
    from shards.packing.ending import PackReport

pytestmark = pytest.mark.exclusive


def folders(root: Path, *, images: int, bad: int) -> Path:
    """A folder per class, with some images cut short."""
    for number in range(images):
        file = root / f"class{number % 2}" / f"{number:04d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(image(number)[: 250 if number % 97 < bad else None])
    return root


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a set."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("words", [(), ("--resize", 8, "--raw")], ids=["files", "raw"])
def test_processes_give_the_bytes_and_the_summary_of_one(
    words: tuple[object, ...], tmp_path: Path
) -> None:
    """Two processes write the bytes of this one, and the same is printed."""
    source = folders(tmp_path / "in", images=700, bad=2)
    words = (source, "--max-bad", 0.5, "--shard-samples", 90, *words)
    alone = pack(*words, "-o", tmp_path / "alone")
    several = pack(*words, "-o", tmp_path / "several", "--processes", 2)
    assert (alone.exit_code, several.exit_code) == (0, 0), several.output
    assert content(tmp_path / "several") == content(tmp_path / "alone")

    def lines(output: str) -> list[str]:
        return [
            re.sub("alone|several", "out", line)
            for line in output.splitlines()
            if "images/s" not in line
        ]

    assert lines(several.stdout) == lines(alone.stdout)


def parquet(root: Path) -> Path:
    """A Hugging Face set with its images inside, two splits."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("image", kind), ("label", pa.string())])
    root.mkdir()
    for split, numbers in (("train", range(500)), ("test", range(500, 600))):
        rows = [
            {"image": {"bytes": image(n), "path": f"{n:03d}.jpg"}, "label": f"c{n % 3}"}
            for n in numbers
        ]
        file = root / f"{split}-00000-of-00001.parquet"
        pq.write_table(pa.Table.from_pylist(rows, schema), file, row_group_size=170)
    return root


def tars(root: Path) -> Path:
    """WebDataset tars of two splits."""
    for split, numbers in (("train", range(500)), ("val", range(500, 600))):
        (root / split).mkdir(parents=True)
        with TarWriter(str(root / split / "0.tar"), mtime=0) as tar:
            for n in numbers:
                label = np.eye(2, dtype="<f4")[n % 2]
                tar.write({"__key__": f"s{n:07d}", "jpg": image(n), "npy": label})
        (root / split / "nshards.txt").write_text("1")
    (root / "classnames.txt").write_text("cat\ndog\n")
    return root


@pytest.mark.parametrize("write", [parquet, tars])
def test_images_inside_of_other_files(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers open Parquet files and tars by themselves, also if the source is named relatively."""
    write(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    for out, words in (("alone", []), ("several", ["--processes", 2])):
        result = pack("in", "-o", out, "--shard-samples", 90, *words)
        assert result.exit_code == 0, result.output
    assert len(list(Path("alone").glob("*.tar"))) == 8
    assert content(Path("several")) == content(Path("alone"))


@pytest.mark.slow
def test_the_command_is_killed_and_goes_on_with_other_numbers_of_processes(
    tmp_path: Path,
) -> None:
    """Killed by -9 again and again, its processes end too, and a later run has the same bytes."""
    source = folders(tmp_path / "in", images=1600, bad=1)
    words = ["pack", source, "-o", tmp_path / "out", "--max-bad", "0.5", "--shard-samples", "100"]
    words = [*map(str, words), "--resize", "100"]
    for processes in ("3", "2"):
        command = [sys.executable, "-m", "vocscore", *words, "--processes", processes]
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = checked(tmp_path / "out")
        wait_for(lambda least=before: checked(tmp_path / "out") > least)
        workers = children(run.pid)
        assert len(workers) >= int(processes)
        run.kill()
        run.wait()
        wait_for(lambda gone=workers: not any(Path(f"/proc/{pid}").exists() for pid in gone))
        assert not (tmp_path / "out" / "dataset.json").exists()
    assert pack(*words[1:], "--processes", 1).exit_code == 0
    words[words.index(str(tmp_path / "out"))] = str(tmp_path / "alone")
    assert pack(*words[1:]).exit_code == 0
    assert content(tmp_path / "out") == content(tmp_path / "alone")


def checked(out: Path) -> int:
    """The number of lines about units that have been checked."""
    file = out / ".progress" / "checked.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def wait_for(fact: Any) -> None:
    """Wait until something is so, a minute at most."""
    deadline = time.monotonic() + 60
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    """The child processes of a process."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in tasks for child in file.read_text().split()]


def pack_deadly(folder: Path, *, deaths: int, warned: list[str]) -> PackReport:
    """Pack 600 images in two processes; one image kills the process that reads it."""
    source = folders(folder / "in", images=600, bad=0)
    (folder / "marks").mkdir()
    samples = tuple(
        Sample(str(path.relative_to(source)), ("a",)) for path in sorted(source.rglob("*.jpg"))
    )
    locate = partial(deadly, str(source), samples[300].path, str(folder / "marks"), deaths)
    config = PackConfig(processes=PackWorkersConfig(processes=2))
    real = pool_of(config, stage=lambda _name: None, warn=warned.append)
    assert real is not None
    return write_shards(
        AnnotatedSet(source, samples),
        {"train": samples},
        folder / "out",
        classes=("a",),
        shard_samples=100,
        verify=True,
        max_bad=0,
        max_pixels=10**6,
        resize=None,
        quality=95,
        workers=1,
        overwrite=False,
        settings={},
        pool=lambda workshop: real(replace(workshop, locate=locate)),
    )


def test_a_unit_whose_process_died_is_done_by_another(tmp_path: Path) -> None:
    """A death costs a warning that names the images, and no image."""
    warned: list[str] = []
    report = pack_deadly(tmp_path, deaths=1, warned=warned)
    assert report.manifest.splits["train"].samples == 600
    (line,) = [line for line in warned if "unit 1 " in line]
    assert "(split 'train', images class0/" in line
    assert "a worker died while packing it (1 times); another worker packed it." in line


def test_a_unit_that_kills_every_process_ends_the_run_with_its_name(tmp_path: Path) -> None:
    """The third death is the end: one line with the images, and what to change."""
    with pytest.raises(PackError) as caught:
        pack_deadly(tmp_path, deaths=9, warned=[])
    line = str(caught.value)
    assert line.startswith("unit 1 (split 'train', images class0/")
    assert "3 workers died while packing it (the last one by SIGKILL" in line
    assert line.endswith("Rerun with fewer `processes` or fewer `workers`.")


def test_the_stages_are_named(tmp_path: Path) -> None:
    """First images are checked, then the remaining shards are written; each counts to its end."""
    source = folders(tmp_path / "in", images=300, bad=0)
    told: list[object] = []
    config = PackConfig(
        output=ShardsConfig(shard_samples=100), processes=PackWorkersConfig(processes=1)
    )

    def count(*counts: int) -> None:
        told.append(counts)

    pack_set(source, tmp_path / "out", config, on_stage=told.append, on_images=count)
    stages = [one for one in told if isinstance(one, str)]
    assert stages[-3:] == ["starting 1 process", "checking", "writing"]
    assert told[told.index("writing") - 1] == (300, 300, 0)
    assert told[-1] == (300, 300, 0)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--processes", 0), "'--processes': 0 is not in the range x>=1"),
        (("--cpus-per-process", 2), "--cpus-per-process needs --on. Add it."),
        (("--mixed-machines",), "--mixed-machines needs --on. Add it."),
        (("--on", "there"), "--on there: name 'ray', HOST:PORT or ray://HOST:PORT."),
    ],
)
def test_bad_options_are_refused(words: tuple[object, ...], line: str, tmp_path: Path) -> None:
    """One line says which option, and nothing is written."""
    folders(tmp_path / "in", images=2, bad=0)
    assert line in refused(tmp_path / "out", tmp_path / "in", *words)


@pytest.mark.slow
def test_on_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ray cluster of this machine packs the same bytes, and is gone afterwards."""
    pytest.importorskip("ray")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    source = folders(tmp_path / "in", images=300, bad=2)
    words = (source, "--max-bad", 0.5, "--shard-samples", 40)
    assert pack(*words, "-o", tmp_path / "alone").exit_code == 0
    command = [sys.executable, "-m", "vocscore", "pack", *map(str, words), "--on", "ray"]
    command += ["-o", str(tmp_path / "ray"), "--processes", "2", "--cpus-per-process", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert content(tmp_path / "ray") == content(tmp_path / "alone")
    assert not (tmp_path / "home").exists()
