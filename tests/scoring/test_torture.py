"""Thousands of damaged files, odd settings, kills, full disks: a row for every input all the same.

The truth is a clean run: the same names, every file good.
"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from click.testing import CliRunner
from mutations import KINDS, good_jpegs, mutants
from score_doubles import FakeLoader, score_fake
from small_disk import in_a_small_disk
from tiny_network import CLASSES, make_checkpoint, numbers, read, run

from shards.errors import Reason
from shards.sample import ImageRef
from vocscore.cli.main import main
from vocscore.pipeline.loaders import open_loader
from vocscore.pipeline.preprocess import Preprocess

pytestmark = pytest.mark.exclusive

HERE = Path(__file__).parent
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
"""For processes that score a few images: what they do first should not wait for a busy core."""
MUTANTS = 2000
GOOD_EVERY = 10
"""One file of so many is good, and has to come out as if it were among good ones only."""
REASONS = {str(reason) for reason in Reason}
GPU_TOLERANCE = 2e-3
"""Of a probability: a GPU's batches, and with them the last bits of bf16, change with failures."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("run"))


def fill(folder, damaged):
    """Good files among the damaged ones; and the clean twin: the same names, all good.

    Returns the names of the good ones.
    """
    dirty, clean, seeds, good = folder / "dirty", folder / "clean", good_jpegs(), set()
    for number, (kind, data) in enumerate(damaged):
        name = f"{number % 7}/{number:05d}-{kind}.jpg"
        is_good = number % GOOD_EVERY == 0
        good |= {name} if is_good else set()
        for root in (dirty, clean):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            whole = is_good or root is clean
            (root / name).write_bytes(seeds[number % len(seeds)] if whole else data)
    return good


@pytest.fixture(scope="module")
def mutated(tmp_path_factory):
    """2,000 mutants, every tenth replaced by a good image, beside their clean twin."""
    folder = tmp_path_factory.mktemp("mutated")
    return folder, fill(folder, mutants(MUTANTS, seed=0))


def refs_of(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [ImageRef(str(file.relative_to(folder)), str(file)) for file in files]


def verdicts(loader, refs, *, batch_size, device="cpu", max_pixels=10**7):
    """Row -> 'ok' or the reason; each row once."""
    found = {}
    with open_loader(
        loader,
        Preprocess(size=32),
        batch_size=batch_size,
        device=device,
        threads=2,
        max_pixels=max_pixels,
    ) as opened:
        for batch in opened.batches(refs):
            rows = [(int(row), "ok") for row in batch.rows]
            for row, verdict in [*rows, *((f.row, str(f.fault.reason)) for f in batch.failures)]:
                assert row not in found
                found[row] = verdict
    assert sorted(found) == list(range(len(refs)))
    return found


def check(output, names, good, clean=None, *, tolerance=0.0):
    """A row for every name, each once, in order; good ones as in the clean run, bad ones told."""
    rows = read(output)
    assert list(rows) == sorted(names)
    for name, row in rows.items():
        if row["status"] == "ok":
            assert not row["error"]
            assert np.isfinite(numbers(row)).all()
        else:
            assert row["error"].partition(": ")[0] in REASONS
            assert not any(row[column] for column in (*CLASSES, "labels"))
            assert name not in good
    if clean is not None:
        for name in good:
            assert np.abs(numbers(rows[name]) - numbers(clean[name])).max() <= tolerance
    return rows


def test_mutants_do_what_they_say():
    """The generator is seeded, most of its files are damaged, and no kind is missing."""
    first, again = list(mutants(50, seed=3)), list(mutants(50, seed=3))
    assert first == again
    assert first != list(mutants(50, seed=4))
    assert {kind for kind, _ in first} == {kind.__name__ for kind in KINDS}
    seeds = set(good_jpegs())
    assert len(seeds) == 18
    assert sum(data in seeds for _, data in first) < 5


def test_every_loader_has_the_same_verdict_on_2000_mutants(mutated):
    """Host, DALI and the reference agree on each file's status and reason; good files are good."""
    folder, good = mutated
    refs = refs_of(folder / "dirty")
    host = verdicts("host", refs, batch_size=32)
    assert verdicts("dali", refs, batch_size=48) == host
    assert verdicts("reference", refs, batch_size=100) == host
    told = set(host.values())
    assert {"ok", "truncated", "corrupt", "unsupported"} <= told <= {*REASONS, "ok"}
    bad = sum(verdict != "ok" for verdict in host.values())
    assert 0.6 * MUTANTS < bad < 0.9 * MUTANTS
    for row, ref in enumerate(refs):
        if ref.name in good:
            assert host[row] == "ok"
        elif ref.name.endswith("truncated.jpg"):  # the last bytes are an end mark and no more
            assert host[row] != "ok"


def test_every_loader_has_the_same_verdict_on_odd_files(odd):
    """Host, DALI and the reference agree on every unusual file."""
    refs = refs_of(Path(odd))
    host = verdicts("host", refs, batch_size=3)
    assert verdicts("dali", refs, batch_size=5) == host
    assert verdicts("reference", refs, batch_size=5) == host
    assert len(set(host.values())) > 3


@pytest.mark.parametrize("seed", range(3))
def test_mutants_cost_their_own_rows_with_any_settings(mutated, checkpoint, tmp_path, seed):
    """With random batch, unit and thread numbers, good rows are bit-equal to a clean run's."""
    folder, good = mutated
    chance = random.Random(seed)
    unit_size = (2048, 90, 333)[seed]
    names = [ref.name for ref in refs_of(folder / "dirty")]
    for root in ("clean", "dirty"):
        run(
            folder / root,
            tmp_path / f"{root}.csv",
            checkpoint,
            unit_size=unit_size,
            batch_size=chance.randrange(1, 100),
            workers=chance.randrange(1, 5),
            loader=("host", "dali")[seed % 2],
        )
    clean = check(tmp_path / "clean.csv", names, set(names))
    check(tmp_path / "dirty.csv", names, good, clean)


def test_odd_files_and_mutants_in_one_folder(odd, mutated, checkpoint, tmp_path):
    """Every unusual file is a row, and the good images beside it are untouched by it."""
    folder, good = mutated
    few = sorted(good)[:40]
    for root in ("clean", "dirty"):
        for name in few:
            target = tmp_path / root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / "clean" / name, target)
    shutil.copytree(odd, tmp_path / "dirty" / "9-odd")
    run(tmp_path / "clean", tmp_path / "clean.csv", checkpoint, unit_size=64)
    run(tmp_path / "dirty", tmp_path / "dirty.csv", checkpoint, unit_size=64, batch_size=5)
    names = [str(p.relative_to(tmp_path / "dirty")) for p in (tmp_path / "dirty").rglob("*.*")]
    rows = read(tmp_path / "dirty.csv")
    assert set(few) < set(rows) <= set(names)
    check(tmp_path / "dirty.csv", rows, set(few), read(tmp_path / "clean.csv"))
    assert len({row["error"].partition(":")[0] for row in rows.values()}) > 3


@pytest.mark.gpu
def test_on_a_gpu_mutants_cost_their_own_rows(mutated, tmp_path):
    """Decoded by a GPU, every file has the host's verdict, and good rows are a clean run's."""
    folder, good = mutated
    checkpoint = make_checkpoint(tmp_path / "run", backbone="resnet18")
    refs = refs_of(folder / "dirty")
    assert verdicts("dali", refs, batch_size=64, device="cuda:0") == verdicts(
        "host", refs, batch_size=64
    )
    names = [ref.name for ref in refs]
    for root in ("clean", "dirty"):
        run(folder / root, tmp_path / f"{root}.csv", checkpoint, loader="dali", device="cuda:0")
    clean = check(tmp_path / "clean.csv", names, set(names))
    check(tmp_path / "dirty.csv", names, good, clean, tolerance=GPU_TOLERANCE)


@pytest.mark.slow
def test_killed_at_20_random_moments_with_a_real_network(mutated, tmp_path):
    """Killed by -9 and started again until it gets through, output and quarantine are equal."""
    checkpoint = make_checkpoint(tmp_path / "run", backbone="squeezenet1_1")
    few = tmp_path / "few"
    for file in sorted((mutated[0] / "dirty" / "3").iterdir())[:90]:
        few.mkdir(exist_ok=True)
        shutil.copy(file, few)
    command = [sys.executable, HERE / "dying_network.py", few, checkpoint, tmp_path / "runs"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env=ONE_THREAD
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kills"] >= 20
    assert told["differing"] == []
    assert told["resumed"] > 10  # kills after which something was there to go on from


SMALL_DISK = """
import subprocess, sys
from pathlib import Path
from score_doubles import score_fake, make_files
from vocscore.errors import ScoreError
folder = Path(sys.argv[1])
names = [f"{i:05d}-{'bad' if i % 3 == 0 else 'x' * 150}.jpg" for i in range(3000)]
source = make_files(folder / "in", names)
for name in names:
    if "bad" in name:
        (source / name).write_bytes(bytes(300))
disk = folder / "disk"
def go(where):
    score_fake(source, where / "out.csv", quarantine=where / "q", unit_size=200)
try:
    go(disk)
except ScoreError as error:
    print(error)
print(len(list((disk / "out.csv.parts").glob("part-*.json"))))
subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
go(disk)
go(folder)
def content(where):
    files = [where / "out.csv", *(p for p in (where / "q").rglob("*") if p.is_file())]
    return {str(p.relative_to(where)): p.read_bytes() for p in files}
print(content(disk) == content(folder), len(content(disk)))
"""


@pytest.mark.parametrize("size", ["1m", "3m"])
def test_a_disk_of_a_few_megabytes_is_one_line_and_the_run_goes_on(tmp_path, size):
    """A disk that is full in the middle stops the run in one line; with room it goes on."""
    printed = in_a_small_disk(tmp_path, size, SMALL_DISK, beside=HERE)
    line, parts, same = printed.splitlines()
    assert "cannot be written: no space left on device. Finished units" in line
    assert 0 < int(parts) < 15
    assert same == "True 1003"


@pytest.mark.parametrize("whole", [False, True], ids=["parts", "folder"])
def test_an_output_folder_removed_while_running_is_one_line(mutated, checkpoint, tmp_path, whole):
    """The folder that is being written into goes: one line, exit code 2; then a full run."""
    few, out = tmp_path / "few", tmp_path / "results"
    few.mkdir()
    for file in sorted((mutated[0] / "clean" / "1").iterdir())[:60]:
        shutil.copy(file, few)
    words = ["score", few, "-m", checkpoint, "-o", out / "o.csv", "--unit-size", "1", "--device"]
    command = [*map(str, words), "cpu"]
    ended = Event()

    def remove():
        while not (out / "o.csv.parts" / "part-000005.json").exists():
            if ended.wait(0.002):
                return
        (out if whole else out / "o.csv.parts").rename(tmp_path / "away")

    remover = Thread(target=remove)
    remover.start()
    told = CliRunner().invoke(main, command)
    ended.set()
    remover.join()
    assert told.exit_code == 2, told.output
    (line,) = [line for line in told.stderr.splitlines() if line.startswith("Error: ")]
    assert "cannot be written: no such file or directory" in line
    assert isinstance(told.exception, SystemExit)
    again = CliRunner().invoke(main, [*command, "-q"])
    assert again.exit_code == 0
    assert not again.stderr
    assert len(read(out / "o.csv")) == len(list(few.iterdir()))
    assert sorted(path.name for path in out.iterdir()) == ["o.csv", "o.csv.files.npy", "o.csv.json"]


def test_mutated_tars_give_what_can_be_read_and_a_word_on_the_rest(tmp_path):
    """Of 300 damaged tars each gives rows, or a row of its own; what is missing is told."""
    folder, chance = tmp_path / "in", random.Random(5)
    folder.mkdir()
    seeds = [tar_of(good_jpegs()[at : at + 5], style) for at, style in enumerate(TAR_STYLES)]
    for number in range(300):
        data = KINDS[number % len(KINDS)](chance.choice(seeds), chance, seeds)
        (folder / f"{number:03d}.tar").write_bytes(data)
    ledger = score_fake(folder, tmp_path / "out.csv", loader=FakeLoader(50))
    assert sorted(ledger.records) == list(range(300))
    told = 0
    for record in ledger.records.values():
        assert record.rows >= 1
        assert record.rows <= 10  # two tars' worth
        told += bool(record.problems or record.errors)
        if record.rows < 5:
            assert record.problems or record.errors
    assert told > 150
    assert len(read(tmp_path / "out.csv")) == sum(r.rows for r in ledger.records.values())


TAR_STYLES = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)


def tar_of(images, style):
    """A WebDataset tar of some images, each with a label."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=style) as tar:
        for number, data in enumerate(images):
            for end, content in (("jpg", data), ("cls", b"3")):
                info = tarfile.TarInfo(f"{'x' * 90}/{'y' * 20}{number}.{end}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()
