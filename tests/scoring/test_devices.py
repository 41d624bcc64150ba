"""`vocscore score` as a process, with a real network, in one process and in several."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from mutations import mutants
from tiny_network import CLASSES, make_checkpoint, read

from vocscore.cli.main import main

pytestmark = pytest.mark.exclusive

COPIES = 16
MUTANTS = 200
SECONDS = 120


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("run"), backbone="squeezenet1_1")


@pytest.fixture(scope="module")
def images(voc_tree, tmp_path_factory):
    """So many that there is time to stop: 48 images 16 times, some that are none, 200 damaged."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(COPIES):
        for file in (voc_tree / "JPEGImages").iterdir():
            os.link(file, folder / f"{number:03d}-{file.name}")
        (folder / f"{number:03d}-bad.jpg").write_bytes(b"<html>404</html>")
    for number, (kind, data) in enumerate(mutants(MUTANTS, seed=0)):
        (folder / f"{number:03d}-{kind}.jpg").write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def expected(images, checkpoint, tmp_path_factory):
    """What one process writes."""
    output = tmp_path_factory.mktemp("expected") / "out.csv"
    assert score_here(images, output, checkpoint)[0] == 0
    return output


def score_words(source, output, checkpoint, *words, unit_size=24):
    names = ["score", source, "-m", checkpoint, "-o", output, "--unit-size", unit_size]
    return [str(word) for word in (*names, "--loader", "host", *words)]


def score_here(*arguments, **options):
    """Exit code, standard output and standard error of the command in this process."""
    done = CliRunner().invoke(main, score_words(*arguments, **options))
    return done.exit_code, done.stdout, done.stderr


def start(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "vocscore", *score_words(*arguments, **options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # as a terminal does: Ctrl-C then goes to all of its processes
        # a shell's background jobs, and all that they start, are deaf to Ctrl-C
        preexec_fn=listen,  # noqa: PLW1509 - no thread of the tests holds a lock
    )


def listen():
    """Hear Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(process):
    """Exit code, standard output, standard error; no process of the session may be left."""
    out, err = process.communicate(timeout=SECONDS)
    deadline = time.monotonic() + 20
    while session(process.pid):
        assert time.monotonic() < deadline, "a worker is left"
        time.sleep(0.05)
    return process.returncode, out, err


def without_log(err):
    """The lines of standard error but those that say what is being done."""
    return [line for line in err.splitlines() if not line.startswith("score: ")]


def session(number):
    """The living processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session_id = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue  # it has ended
        if int(session_id) == number and state != "Z":
            found.append(int(stat.parent.name))
    return found


def wait_for_parts(output, process, *, number=3):
    """Until some units are committed."""
    work, deadline = output.with_name(f"{output.name}.parts"), time.monotonic() + SECONDS
    while len(list(work.glob("part-*.json"))) < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.slow  # with two workers, what is stopped and killed below comes to the same bytes
def test_bytes_are_those_of_one_process(images, tmp_path, checkpoint, expected):
    """Three processes, which share the cores, write the bytes of one; errors are summed."""
    output = tmp_path / "out.csv"
    code, out, err = finish(start(images, output, checkpoint, "--devices", "cpu,cpu,cpu"))
    assert (code, without_log(err)) == (0, [])
    errors = [row["error"] for row in read(expected).values() if row["status"] != "ok"]
    assert f"images: {49 * COPIES + MUTANTS}" in out
    assert f"errors: {len(errors)} (" in out
    for reason, number in Counter(error.partition(": ")[0] for error in errors).items():
        assert f"{number} {reason}" in out
    assert len(errors) > COPIES + MUTANTS // 2
    assert output.read_bytes() == expected.read_bytes()


@pytest.mark.slow
def test_large_matrix_products_do_not_depend_on_the_share_of_the_cores(voc_tree, tmp_path):
    """AlexNet, whose last bits MKL would make depend on the number of threads, is equal as well."""
    import torch

    from vocscore.models.card import ModelCard
    from vocscore.models.checkpoint import save_checkpoint
    from vocscore.models.network import build_network
    from vocscore.pipeline.preprocess import Preprocess

    network = build_network("alexnet", classes=len(CLASSES), weights="none", size=64)
    torch.nn.init.normal_(network.head.weight, std=0.1)
    card = ModelCard("alexnet", CLASSES, Preprocess(size=64), 0.5, "none")
    save_checkpoint(tmp_path / "run", network, card)
    one, two = tmp_path / "1.csv", tmp_path / "2.csv"
    source, run = voc_tree / "JPEGImages", tmp_path / "run"
    assert score_here(source, one, run, unit_size=40)[0] == 0
    process = start(source, two, run, "--devices", "cpu,cpu", unit_size=40)
    assert finish(process)[0] == 0
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [("cpu", "sigterm"), ("cpu,cpu", "ctrl-c"), ("cpu,cpu", "sigterm"), ("cpu,cpu", "all sigterm")],
    ids=" by ".join,
)
def test_stopped_it_says_how_to_go_on_and_leaves_no_process(
    images, tmp_path, checkpoint, expected, how
):
    """Ctrl-C and SIGTERM: exit 130, no traceback, the command to go on, equal bytes after it."""
    devices, signals = how
    output = tmp_path / "out.csv"
    words = ["--device", "cpu"] if devices == "cpu" else ["--devices", devices]
    process = start(images, output, checkpoint, *words)
    wait_for_parts(output, process)
    if signals == "sigterm":
        process.terminate()
    else:
        os.killpg(process.pid, signal.SIGINT if signals == "ctrl-c" else signal.SIGTERM)
    code, _, err = finish(process)
    assert code == 130, err
    line, *others = without_log(err)
    assert line.startswith("Interrupted. Finished units are kept. Resume with: ")
    assert others == []
    assert not output.exists()
    code, out, _ = score_here(images, output, checkpoint)
    assert code == 0
    assert "by an earlier run" in out
    assert output.read_bytes() == expected.read_bytes()


@pytest.mark.slow
def test_ctrl_c_while_the_workers_load_is_quiet_as_well(images, tmp_path, checkpoint):
    """Processes that are only starting say nothing, either."""
    process = start(images, tmp_path / "out.csv", checkpoint, "--devices", "cpu,cpu")
    deadline = time.monotonic() + SECONDS
    while len(session(process.pid)) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_workers_end_when_the_parent_is_killed(images, tmp_path, checkpoint, expected):
    """After kill -9 of the parent no worker is left, and the next run ends with equal bytes."""
    output = tmp_path / "out.csv"
    process = start(images, output, checkpoint, "--devices", "cpu,cpu")
    wait_for_parts(output, process)
    assert len(session(process.pid)) >= 3
    process.kill()
    assert finish(process)[0] == -signal.SIGKILL
    assert score_here(images, output, checkpoint)[0] == 0
    assert output.read_bytes() == expected.read_bytes()


@pytest.mark.slow
def test_a_checkpoint_that_changes_while_it_is_in_use_is_not_mixed_in(images, tmp_path, checkpoint):
    """A worker that is started anew and finds another network ends the run with one line."""
    output, mine, other = (tmp_path / name for name in ("out.csv", "mine", "other"))
    shutil.copytree(checkpoint, mine)
    make_checkpoint(other, seed=1, backbone="squeezenet1_1")  # takes longer than the run may
    process = start(images, output, mine, "--devices", "cpu,cpu", unit_size=8)
    wait_for_parts(output, process)
    shutil.copytree(other, mine, dirs_exist_ok=True)
    workers = [pid for pid in session(process.pid) if pid != process.pid and is_worker(pid)]
    for worker in workers:  # one that lives would score what is left before another has started
        os.kill(worker, signal.SIGKILL)
    code, _, err = finish(process)
    assert code == 2
    assert "replaced while it was in use" in err
    assert len(without_log(err)) == 1


def is_worker(pid):
    return "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--devices", "99"], "device 'cuda:99' not found"),
        (["--devices", "0,,1"], "'0,,1' is not a list of devices"),
        (["--devices", "cpu,cpu", "--device", "cpu"], "--device cpu and --devices cpu,cpu"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(images, tmp_path, checkpoint, words, line):
    """A device that is not there, a list that is none, and two answers to one question."""
    code, _, err = score_here(images, tmp_path / "out.csv", checkpoint, *words)
    assert code == 2
    assert line in err.splitlines()[-1]
    assert "Traceback" not in err
