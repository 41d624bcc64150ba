"""Workers on a Ray cluster of two nodes on this machine: kills, a lost node, a node that hangs."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest
from engine_doubles import FakeOpener
from score_doubles import make_files, score_fake

from vocscore.errors import ScoreError
from vocscore.scoring.engines.processes import WorkerEngine
from vocscore.scoring.engines.worker import ScoringJob
from vocscore.scoring.output.work_folder import work_folder
from vocscore.workers.dispatch import Policy
from vocscore.workers.ray_actors import RayTransport
from vocscore.workers.ray_cluster import RayCluster
from vocscore.workers.shares import Share

pytestmark = [pytest.mark.slow, pytest.mark.exclusive]

NAMES = [f"{i:03d}{'bad' if i % 7 == 3 else ''}.jpg" for i in range(60)]
HEALTH = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}
SECONDS = 60
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def cluster():
    """A head without CPUs, two nodes with one each; at the end none of its processes is left."""
    os.environ["RAY_DEDUP_LOGS_SKIP_REGEX"] = "."  # as `RayCluster` does, before Ray is imported
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'vocscore[ray]'")
    from ray.cluster_utils import Cluster

    folder = Path(tempfile.mkdtemp(prefix="vr", dir="/tmp"))  # sockets have short paths
    Path("/tmp/ray").mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(HERE.parents[1])]))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")  # `import vocscore` has set it, too
        head = {"num_cpus": 0, "temp_dir": str(folder), "include_dashboard": False}
        made = Cluster(initialize_head=True, head_node_args={**head, "_system_config": HEALTH})
        try:
            for _ in range(2):
                made.add_node(num_cpus=1)
            yield made
            assert not (folder / ".ray").exists()
            assert not list(folder.glob("session_*/usage_stats.json"))
        finally:
            made.shutdown()
            left = processes_of(folder)
            deadline = time.monotonic() + 20
            while left and time.monotonic() < deadline:
                time.sleep(0.2)
                left = processes_of(folder)
            for process in left:
                os.kill(process, signal.SIGKILL)
            shutil.rmtree(folder, ignore_errors=True)
        assert left == []


def processes_of(folder):
    """Numbers of the living processes that name a folder in their command or environment."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            told = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
            state = (place / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if str(folder).encode() in told and state != "Z" and int(place.name) != os.getpid():
            found.append(int(place.name))
    return found


@pytest.fixture
def expected(tmp_path):
    """The bytes of one process."""
    score_fake(make_files(tmp_path / "images", NAMES), tmp_path / "one.csv")
    return (tmp_path / "one.csv").read_bytes()


def open_engine(cluster, opener, workers=2):
    connection = RayCluster(cluster.address)
    transport = RayTransport(connection, ScoringJob(opener), Share(workers, 1, 0.0))
    # not `twice`: what a lost worker has would be finished by another before the loss is known
    return WorkerEngine(transport, Policy(wait_for=1))


def wait_for_two(engine):
    """Until both workers have a place."""
    deadline = time.monotonic() + SECONDS
    while not all(worker.ready for worker in engine.dispatcher.workers):
        assert time.monotonic() < deadline
        for worker, message in engine.dispatcher._messages():
            engine.dispatcher._change(worker, message)


def score(cluster, tmp_path, trouble, *, seconds_per_batch=0.1):
    """Score with two workers; `trouble` is called once, with a worker that has units."""
    source = make_files(tmp_path / "images", NAMES)
    called = []
    with closing(open_engine(cluster, FakeOpener(seconds_per_batch=seconds_per_batch))) as engine:
        wait_for_two(engine)

        def progress(done, total, errors):
            busy = [worker for worker in engine.dispatcher.workers if worker.items]
            if not called and done >= 12 and busy:
                called.append(busy[-1])
                trouble(busy[-1].link)

        ledger = score_fake(source, tmp_path / "ray.csv", engine=engine, progress=progress)
    assert called
    problems = [line for record in ledger.records.values() for line in record.problems]
    return (tmp_path / "ray.csv").read_bytes(), problems


def node_of(cluster, link):
    return next(node for node in cluster.worker_nodes if node.node_id == link.node)


def test_a_killed_worker_costs_no_row(cluster, tmp_path, expected):
    """Bytes are those of one process; units that it had are scored again, and it is said."""
    written, problems = score(cluster, tmp_path, lambda link: os.kill(link.process, signal.SIGKILL))
    assert written == expected
    assert problems
    assert all("a worker died while scoring it (1 times)" in line for line in problems)


def test_a_removed_node_costs_no_unit_a_life(cluster, tmp_path, expected):
    """A machine that is switched off: equal bytes, and no unit has lost a life."""

    def remove(link):
        cluster.remove_node(node_of(cluster, link), allow_graceful=False)

    try:
        written, problems = score(cluster, tmp_path, remove, seconds_per_batch=0.5)
    finally:
        cluster.add_node(num_cpus=1)
    assert written == expected
    assert problems
    assert all("was lost while scoring it" in line for line in problems)


def test_a_node_that_hangs_has_no_way_to_the_output(cluster, tmp_path, expected):
    """Its worker lives on and scores; its units are scored elsewhere, and nothing comes twice."""
    stopped = []

    def stop(link):
        raylet = node_of(cluster, link).all_processes["raylet"][0].process.pid
        os.kill(raylet, signal.SIGSTOP)
        stopped.extend([raylet, link.process, node_of(cluster, link)])

    try:
        written, problems = score(cluster, tmp_path, stop, seconds_per_batch=1.0)
        raylet, worker, _ = stopped
        assert Path(f"/proc/{worker}").exists()  # the zombie
        os.kill(raylet, signal.SIGCONT)
        time.sleep(1)
        assert (tmp_path / "ray.csv").read_bytes() == written == expected
    finally:
        if stopped:
            os.kill(stopped[0], signal.SIGCONT)
            cluster.remove_node(stopped[2], allow_graceful=False)
            cluster.add_node(num_cpus=1)
    assert any("was lost while scoring it" in line for line in problems)
    assert not any("died" in line for line in problems)


def test_a_unit_that_kills_its_workers_ends_the_run_with_its_name(cluster, tmp_path):
    """After three lives; finished units are kept, and the run goes on without Ray."""
    source = make_files(tmp_path / "images", [*NAMES, "030kills.jpg"])
    output = tmp_path / "ray.csv"
    with (
        closing(open_engine(cluster, FakeOpener())) as engine,
        pytest.raises(ScoreError, match=r"^unit 7: 3 workers died while scoring it \(the last"),
    ):
        score_fake(source, output, engine=engine)
    assert list(work_folder(output).glob("part-*.csv"))
    ledger = score_fake(source, output)
    assert sum(record.rows for record in ledger.records.values()) == 61
