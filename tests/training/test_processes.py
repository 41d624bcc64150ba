"""Several processes train what one does; a process that dies ends the job, and a resume goes on."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_training import fit

from shards.reader import load_split
from vocscore.device import CPU
from vocscore.errors import DeviceError, TrainError
from vocscore.pipeline.batch import Batch
from vocscore.ranks import ALONE, Ranks, read_ranks
from vocscore.training.finetune import regroup
from vocscore.training.setup import choose_device
from vocscore.training.trainer import share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.exclusive

WHOLE = {
    "backbone": "tiny",  # batch statistics over all processes
    "weights": "none",
    "size": 64,
    "tune": "all",
    "batch_size": 3,  # of 5 images: 3 and 2, so that the last batch leaves one of 3 without any
    "epochs": 2,
    "learning_rate": 0.001,
    "weight_decay": 0.01,
    "ema": 0.5,
}
HEAD = {"backbone": "tiny_dropout", "weights": "none", "size": 64, "epochs": 3}
REAL = {**HEAD, "backbone": "squeezenet1_1"}  # for processes that do not know the tiny one


def train_words(shards: Path, out: Path, *more: str, **settings: Any) -> list[str]:
    options = [
        word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", value)
    ]
    train = ["train", shards, "-o", out, "--device", "cpu", "--loader", "host"]
    return [str(word) for word in (*train, *options, *more)]


def torchrun(processes: int, *words: Any, **settings: Any) -> subprocess.Popen[str]:
    """`torchrun ... vocscore train` as a user types it."""
    started = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return subprocess.Popen(
        [sys.executable, *started, "-m", "vocscore", *train_words(*words, **settings)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    program = str(Path(__file__).with_name("rank_server.py"))
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, program], stdin=pipe, stdout=pipe, text=True) as started:
        yield started
        started.stdin.close()


@dataclass(frozen=True)
class Done:
    codes: list[int]
    out: str
    err: str


@pytest.fixture
def run(server: subprocess.Popen[str]) -> Callable[..., Done]:
    """Train in several processes that are forked, and not started: that takes a fraction."""

    def run(processes: int, *words: Any, **settings: Any) -> Done:
        server.stdin.write(json.dumps([processes, *train_words(*words, **settings)]) + "\n")
        server.stdin.flush()
        return Done(**json.loads(server.stdout.readline()))

    return run


def history(out: Path) -> np.ndarray[Any, Any]:
    with (out / "history.csv").open(newline="") as file:
        return np.array([[float(value) for value in row] for row in list(csv.reader(file))[1:]])


@pytest.mark.parametrize("processes", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_whole_network_is_one_process_s(
    processes: int, few_shards: Path, tmp_path: Path, run: Callable[..., Done]
) -> None:
    """Batch statistics, steps, average and figures are those of one process but for rounding.

    Three processes have one shard a split, 4 validation images and a last batch of 2.
    """
    fit(few_shards, tmp_path / "one", **WHOLE)
    done = run(processes, few_shards, tmp_path / "many", **WHOLE)
    assert done.codes == [0] * processes, done.err
    one, many = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "many"))
    torch.testing.assert_close(many, one, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        history(tmp_path / "many"), history(tmp_path / "one"), rtol=1e-3, atol=1e-3
    )
    assert done.out.count("epoch  split") == 1, "one process prints"


@pytest.mark.parametrize("recipe", [pytest.param("baseline", marks=pytest.mark.slow), "strong"])
def test_head_is_one_process_s_to_the_byte(
    drawn_shards: Path, tmp_path: Path, recipe: str, run: Callable[..., Done]
) -> None:
    """Features are computed in the very batches of one process, the head by one of them."""
    for processes, name in ((1, "one"), (3, "many")):
        done = run(processes, drawn_shards, tmp_path / name, **HEAD, recipe=recipe)
        assert done.codes == [0] * processes, done.err
    for name in ("model.safetensors", "history.csv", "metrics.json", "model.json"):
        assert (tmp_path / "many" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


def rank_of(process: int) -> str:
    words = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    return dict(word.partition(b"=")[::2] for word in words if word)[b"RANK"].decode()


@pytest.mark.slow
def test_killed_rank_ends_the_job_and_a_resume_goes_on(
    few_shards: Path, tmp_path: Path, run: Callable[..., Done]
) -> None:
    """SIGKILL of one process ends all within seconds; resumed, dropout included, nothing shows."""
    settings = {**WHOLE, "backbone": "squeezenet1_1", "epochs": 15}
    job = torchrun(2, few_shards, tmp_path / "cut", **settings)
    while not (tmp_path / "cut" / "resume.pt").exists():
        assert job.poll() is None
        time.sleep(0.02)
    children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
    victim = next(int(child) for child in children if rank_of(int(child)) == "1")
    os.kill(victim, signal.SIGKILL)
    _, errors = job.communicate(timeout=120)  # gloo would be waited for half an hour
    assert job.returncode != 0
    assert "exitcode  : -9" in errors
    with pytest.raises(TrainError, match="processes was 2 and is 1"):
        fit(few_shards, tmp_path / "cut", **settings, resume=True)
    again = run(2, few_shards, tmp_path / "cut", "--resume", **settings)
    assert again.codes == [0, 0], again.err
    whole = run(2, few_shards, tmp_path / "whole", **settings)
    assert whole.codes == [0, 0], whole.err
    for name in ("model.safetensors", "history.csv"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.slow
def test_error_of_one_rank_is_shown_once(drawn_shards: Path, tmp_path: Path) -> None:
    """An image that only the second process meets ends the job with that one line."""
    shards = tmp_path / "shards"
    shutil.copytree(drawn_shards, shards)
    last = load_split(shards, "val").images[-1]
    with Path(last.file).open("r+b") as tar:
        tar.seek(last.offset)
        tar.write(bytes(last.size))
    job = torchrun(2, shards, tmp_path / "run", **REAL)
    _, errors = job.communicate(timeout=120)
    lines = [line for line in errors.splitlines() if line.startswith("Error:")]
    assert len(lines) == 1
    assert last.name in lines[0]
    assert "exitcode  : 2" in errors


@pytest.mark.parametrize("more", [("--val-split", "nothing"), ("--val-split",)])
def test_error_of_all_is_shown_once(
    more: tuple[str, ...], few_shards: Path, tmp_path: Path, run: Callable[..., Done]
) -> None:
    """What every process would find wrong is said by the first one alone."""
    done = run(3, few_shards, tmp_path / "run", *more, **HEAD)
    lines = [line for line in done.err.splitlines() if line.startswith("Error:")]
    assert len(lines) == 1, done.err
    assert "nothing" in lines[0] or "--val-split" in lines[0]
    assert done.codes[0] == 2


def test_what_torchrun_tells() -> None:
    """No WORLD_SIZE, or one of 1, is one process; half of it is refused with the cure."""
    told = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    assert read_ranks({}) == read_ranks({"WORLD_SIZE": "1", "RANK": "0"}) == ALONE
    with pytest.raises(TrainError, match=r"MASTER_ADDR is not set.*torchrun"):
        read_ranks(told)
    found = read_ranks({**told, "MASTER_ADDR": "a", "MASTER_PORT": "1"})
    assert found == Ranks(rank=3, size=4, local_rank=1, local_size=2)
    assert not found.first


def test_one_gpu_for_several_processes_is_refused() -> None:
    """A GPU by its number is one; the CPU is for all."""
    ranks = Ranks(rank=1, size=2, local_rank=1, local_size=2)
    assert choose_device("cpu", ranks) == CPU
    with pytest.raises(DeviceError, match=r"cuda:0.*`device='cuda'`:"):
        choose_device("cuda:0", ranks)


@pytest.mark.parametrize("rows", [0, 1, 2, 5, 9])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_shares_are_all_rows_once(rows: int, size: int) -> None:
    """In the order of ranks, the first ones larger by one at most."""
    shares = [share(np.arange(rows), Ranks(rank=rank, size=size)) for rank in range(size)]
    assert np.concatenate(shares).tolist() == list(range(rows))
    lengths = [len(part) for part in shares]
    assert lengths == sorted(lengths, reverse=True)
    assert max(lengths) - min(lengths) <= 1


def test_a_share_of_nothing_is_an_empty_batch() -> None:
    """Images of the network's size, none of them: batch statistics need every process."""
    rows = np.arange(3)
    made = list(regroup([Batch(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), rows)], [3, 0], side=8))
    assert [batch.rows.tolist() for batch in made] == [[0, 1, 2], []]
    assert made[1].images.shape == (0, 3, 8, 8)
