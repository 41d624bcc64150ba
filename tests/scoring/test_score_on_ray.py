"""`vocscore score --on ray` as a process, with a cluster of its own and a real network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny_network import make_checkpoint

from vocscore.cli.main import main

pytestmark = [pytest.mark.slow, pytest.mark.exclusive]

SECONDS = 120


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("run"), backbone="squeezenet1_1")


@pytest.fixture(scope="module")
def images(voc_tree, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number in range(8):
        for file in (voc_tree / "JPEGImages").iterdir():
            os.link(file, folder / f"{number:03d}-{file.name}")
    (folder / "bad.jpg").write_bytes(b"<html>404</html>")
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home and a folder of temporary files of their own; sockets need short paths."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'vocscore[ray]'")
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VOCSCORE_TEST_MARK", str(tmp_path))
    return tmp_path / "home"


def words(source, output, checkpoint, *more):
    return [
        str(w) for w in ("score", source, "-m", checkpoint, "-o", output, "--unit-size", 8, *more)
    ]


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "vocscore", *words(*arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


def descendants(mark):
    """Living processes with this test's mark in their environment."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            told = (place / "environ").read_bytes()
            state = (place / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        marked = f"VOCSCORE_TEST_MARK={mark}\0".encode() in told
        if marked and state != "Z" and int(place.name) != os.getpid():
            found.append(int(place.name))
    return found


def assert_nothing_is_left(home):
    """No process, no token, no session: neither in the home nor among temporary files."""
    deadline = time.monotonic() + 20
    while left := descendants(home.parent):
        if time.monotonic() > deadline:
            for process in left:
                os.kill(process, signal.SIGKILL)
            pytest.fail(f"{len(left)} processes are left")
        time.sleep(0.1)
    assert not (home / ".ray").exists()


def test_bytes_are_those_of_one_process(images, checkpoint, tmp_path, home):
    """Two workers; Ray says nothing, keeps nothing in the home, and is gone at the end."""
    one, two = tmp_path / "1.csv", tmp_path / "2.csv"
    assert CliRunner().invoke(main, words(images, one, checkpoint)).exit_code == 0
    process = start(images, two, checkpoint, "--on", "ray", "--processes", 2)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    assert [line for line in err.splitlines() if not line.startswith("score: ")] == []
    assert out.splitlines()[0] == f"images: {8 * 48 + 1}"
    assert two.read_bytes() == one.read_bytes()
    assert '"processor"' in (tmp_path / "2.csv.json").read_text()
    assert_nothing_is_left(home)


def test_interrupted_it_ends_its_cluster_and_is_resumed(images, checkpoint, tmp_path, home):
    """Ctrl-C: exit 130, finished units kept, no process of Ray left, equal bytes after a rerun."""
    one, two = tmp_path / "1.csv", tmp_path / "2.csv"
    assert CliRunner().invoke(main, words(images, one, checkpoint)).exit_code == 0
    on_ray = ("--on", "ray", "--processes", "2")
    process = start(images, two, checkpoint, *on_ray)
    work, deadline = two.with_name("2.csv.parts"), time.monotonic() + SECONDS
    while len(list(work.glob("part-*.json"))) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, err
    assert "Interrupted. Finished units are kept. Resume with: " in err
    assert "Traceback" not in err
    assert_nothing_is_left(home)
    process = start(images, two, checkpoint, *on_ray)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    assert "by an earlier run" in out
    assert two.read_bytes() == one.read_bytes()


def test_an_address_where_nobody_answers_is_one_line(images, checkpoint, tmp_path, home):
    """At once; Ray itself would try for two minutes."""
    began = time.monotonic()
    more = ("--on", "127.0.0.1:9")
    done = CliRunner().invoke(main, words(images, tmp_path / "out.csv", checkpoint, *more))
    assert done.exit_code == 2
    assert "--on 127.0.0.1:9: no Ray cluster answers there" in done.stderr.splitlines()[-1]
    assert time.monotonic() - began < 20
