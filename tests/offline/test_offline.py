"""Nothing is sent, forked, or written outside the output and our own cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import pytest

# Slow: every command, with all that it loads, in processes of their own, once for all tests.
HERE = Path(__file__).parent
SECONDS = 300
CALLS = "execve,connect,bind,sendto,sendmsg,sendmmsg,fork,vfork,clone,clone3"
CI = ("CI", "TF_BUILD", "JENKINS_URL", "NNCF_CI", "NNCF_DEV", "DO_NOT_TRACK")
"""Where one of these is set, libraries are silent by themselves: the tests would show nothing."""


needs_telemetry = pytest.mark.skipif(
    not any(distributions(name="openvino-telemetry")), reason="no openvino-telemetry"
)


@dataclass(frozen=True)
class Place:
    """A user's machine: nothing is on it yet.

    Attributes:
        home: the user's folder, empty.
        temporary: of temporary files, empty.
        work: the folder where the commands run.
        log: what was done that must not be.
        calls: of the system, where strace is there.
    """

    home: Path
    temporary: Path
    work: Path
    log: Path
    calls: Path

    @classmethod
    def make(cls, folder: Path) -> Place:
        place = cls(*(folder / name for name in ("home", "tmp", "work", "log", "calls")))
        for made in (place.home, place.temporary, place.work):
            made.mkdir()
        return place

    def run(self, *words: object, traced: bool = False, without: tuple[str, ...] = ()) -> None:
        """Run a Python program that must succeed.

        Args:
            words: behind 'python'.
            traced: its calls of the system are written to `calls`.
            without: variables that its environment shall lack.
        """
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in CI and not name.startswith(("XDG_", "MPL", "TORCH", "ORT_", "CUDA_"))
        }
        roots = (self.work, self.temporary, self.home / ".cache" / "vocscore")
        mine = {
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "OFFLINE_LOG": str(self.log),
            "OFFLINE_ROOTS": ":".join(map(str, roots)),
            "PYTHONPATH": f"{HERE / 'watched'}:{HERE.parents[1]}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        environment = {**kept, **mine}
        for name in without:
            environment.pop(name, None)
        trace = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", str(self.calls)]
        trace += ["-e", f"trace={CALLS}"]
        done = subprocess.run(
            [*(trace if traced else []), sys.executable, *map(str, words)],
            cwd=self.work,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    @property
    def misdeeds(self) -> list[str]:
        return self.log.read_text().splitlines()

    def files(self) -> set[str]:
        """Files and folders in the home, as paths in it."""
        return {str(path.relative_to(self.home)) for path in self.home.rglob("*")}


def can_trace() -> bool:
    """Whether strace is there and may be used; in some containers it may not."""
    words = ["strace", "-f", "--seccomp-bpf", "-e", "trace=connect", "true"]
    if shutil.which("strace") is None:
        return False
    return subprocess.run(words, capture_output=True, timeout=SECONDS, check=False).returncode == 0


@pytest.fixture(scope="module")
def journey(voc_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """What the whole job has left."""
    place = Place.make(tmp_path_factory.mktemp("offline"))
    shutil.copytree(voc_tree, place.work / "voc")
    place.run(HERE / "journey.py", place.work, traced=can_trace())
    return place


@pytest.mark.slow
def test_no_step_of_the_job_connects_forks_or_writes_elsewhere(journey: Place) -> None:
    """Pack to export, with workers, report and comparison: nothing of the kind in any process."""
    assert journey.misdeeds == []


@pytest.mark.slow
def test_the_home_has_nothing_but_our_cache(journey: Place) -> None:
    """In the user's folder there is .cache/vocscore and nothing beside it."""
    files = journey.files()
    assert ".cache/vocscore/compiled" in files, "a journey that keeps nothing shows nothing"
    others = {file for file in files if not file.startswith(".cache/vocscore/")}
    assert others == {".cache", ".cache/vocscore"}


@pytest.mark.slow
def test_no_temporary_file_stays(journey: Place) -> None:
    """What was put into the temporary folder is gone."""
    assert list(journey.temporary.iterdir()) == []


@pytest.mark.slow
def test_the_working_folder_has_the_outputs_only(journey: Place) -> None:
    """Each command leaves what it was asked for."""
    predictions = {"predictions.csv", "workers.jsonl", "int8.parquet"}
    exported = {"model.onnx", "model.onnx.json", "model.xml", "model.bin", "model.xml.json"}
    found = {path.name for path in journey.work.iterdir()}
    beside = {f"{name}{ending}" for name in predictions for ending in (".json", ".files.npy")}
    others = {"voc", "shards", "run", "plots", "report.html"}
    assert found - beside == {*others, *predictions, *exported}


@pytest.mark.slow
def test_the_system_sees_no_connection_and_no_fork(journey: Place) -> None:
    """Libraries in C++ are watched by the system's calls: ONNX Runtime reports from there."""
    if not journey.calls.exists():
        pytest.skip("no strace, or it may not be used here")
    assert forks_and_connections(journey.calls.read_text()) == []


def forks_and_connections(trace: str) -> list[str]:
    """Calls that name an address of the internet, and forks of a process of this program.

    A socket alone is none: urllib3 binds one to this machine to see whether there is IPv6.

    A thread and a child that becomes a program at once share the memory (CLONE_VM); a fork copies.
    """
    other_programs: set[str] = set()
    found = []
    for line in trace.splitlines():
        process, _, call = line.partition(" ")
        call = call.strip()
        if call.startswith("execve(") and sys.executable not in call:
            other_programs.add(process)
        elif (re.search("AF_INET", call) and not re.match(r'bind\(.*"::1"', call)) or (
            re.match(r"(clone3?|fork)\(", call)
            and "CLONE_VM" not in call
            and process not in other_programs
        ):
            found.append(line)
    return found


@needs_telemetry
def test_the_tests_bite(tmp_path: Path) -> None:
    """OpenVINO without this package is caught as it resolves a name, forks, and writes to HOME."""
    place = Place.make(tmp_path)
    place.run("-c", "import openvino", traced=can_trace())
    found = "\n".join(place.misdeeds)
    assert "socket.getaddrinfo" in found
    assert ": fork: " in found
    assert f"writes {place.home}/intel" in found
    assert "intel/stats" in place.files()
    if place.calls.exists():
        assert any("clone" in line for line in forks_and_connections(place.calls.read_text()))


USED_BEFORE = """
import os
os.environ["CI"] = "true"  # so that only what comes later is seen
import openvino
import openvino_telemetry
del os.environ["CI"]

import torch
from vocscore.pipeline.preprocess import Preprocess
from vocscore.runtime.openvino import shape_for
from vocscore.runtime.openvino_graph import convert

openvino_telemetry.Telemetry().send_event("category", "action", "label", force_send=True)
openvino_telemetry.Telemetry().init("app", "1", "id", "ga4", False, False)
openvino_telemetry.Telemetry().send_event("category", "action", "label")
shape = shape_for(group=2, size=8, precision="float32", cores=1)
convert(torch.nn.Flatten().eval(), Preprocess(size=8), shape=shape)
"""


NO_USER = """
import pwd, runpy, sys

def unknown(_uid):
    raise KeyError("uid not found")

pwd.getpwuid = unknown
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
def test_without_a_home_and_a_user_the_job_is_done_and_leaves_nothing(
    journey: Place, tmp_path: Path
) -> None:
    """No HOME, no entry in the password file, no cache: every command, outputs and no file more."""
    place = Place.make(tmp_path)
    for name in ("voc", "shards", "run"):
        shutil.copytree(journey.work / name, place.work / name)
    shutil.rmtree(place.work / "run" / "int8")
    commands = ("score", "eval", "quantize", "onnx", "openvino")
    program = ("-c", NO_USER, HERE / "journey.py", place.work, *commands)
    place.run(*program, without=("HOME", "USER", "LOGNAME", "USERNAME"))
    assert place.misdeeds == []
    assert (place.work / "run" / "int8" / "model.xml").exists()
    assert len(list((place.work / "plots").iterdir())) == 3
    for folder in (place.home, place.temporary):
        assert list(folder.iterdir()) == []
    assert not any(path.name.startswith("~") for path in place.work.iterdir())


@needs_telemetry
def test_a_program_that_has_loaded_openvino_before_is_quiet_too(tmp_path: Path) -> None:
    """In a Python program it makes no difference what is imported first."""
    place = Place.make(tmp_path)
    place.run("-c", USED_BEFORE)
    assert place.misdeeds == []
    assert not any(file.startswith("intel") for file in place.files())
