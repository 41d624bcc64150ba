"""Fixtures that every folder of tests shares."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shards.synthetic.voc import draw_voc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3_server import Bucket, Server

# As the command line does, before torch is loaded: idle threads that spin take the cores from
# everything else that runs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

LONG_FOLDERS = ("tests/bench/", "tests/exporting/", "tests/training/", "tests/view/")
LONG_WORDS = ("pytest.mark.slow", "subprocess", "vocscore.cli.main")
"""Where most tests that take seconds are, and what is in the text of the others."""
MOST_SECONDS = 15.0
"""Of a core, for a test that is not marked as slow. The mark is for ten; seconds of a core are
longer where other processes share it."""


def core_seconds() -> float:
    """Of this process and of its children that have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Where VOCSCORE_CHECK_SLOW=1, fail a test that should be marked as slow or be made faster."""
    before = core_seconds()
    yield
    spent = core_seconds() - before
    if os.environ.get("VOCSCORE_CHECK_SLOW") != "1" or item.get_closest_marker("slow"):
        return
    if spent > MOST_SECONDS:
        pytest.fail(
            f"takes {spent:.0f} seconds of a core: make it faster, or mark it with "
            f"@pytest.mark.slow",
            pytrace=False,
        )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each module to one worker, and all modules with exclusive tests to the same one.

    Modules that take long come first, so that no worker begins with one when the others have ended;
    many short tests at the end are dealt out evenly. xdist itself would begin with the modules of
    most tests, and end with those of one test, which are the longest.

    By their text: the process that deals the tests out does not collect them. `--dist loadgroup`
    of xdist 3.8 does not see the groups under pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    @cache
    def is_exclusive(module: str) -> bool:
        return "pytest.mark.exclusive" in (config.rootpath / module).read_text(encoding="utf-8")

    @cache
    def is_long(module: str) -> bool:
        text = (config.rootpath / module).read_text(encoding="utf-8")
        return module.startswith(LONG_FOLDERS) or any(word in text for word in LONG_WORDS)

    class ByModule(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            module = nodeid.partition("::")[0]
            return "exclusive" if is_exclusive(module) else module

        def _assign_work_unit(self, node: Any) -> None:
            """Give a worker the next module: the first long one, else the first."""
            waiting = (scope for scope in self.workqueue if scope == "exclusive" or is_long(scope))
            first = "exclusive" if "exclusive" in self.workqueue else next(waiting, None)
            if first is not None:
                self.workqueue.move_to_end(first, last=False)
            super()._assign_work_unit(node)

    return ByModule(config, log)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name long bytes by their length: what compressors stamp with the time is no name.

    Every process of a run has to find tests of the same names.
    """
    return f"{len(val)}bytes" if isinstance(val, bytes) and len(val) > 16 else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that needs a GPU may be skipped, with the reason shown; it never vanishes.

    Where VOCSCORE_REQUIRE_GPU=1 it runs, and so fails, whatever is missing.
    """
    for item in items:
        if item.get_closest_marker("exclusive"):
            item.add_marker(pytest.mark.xdist_group("exclusive"))  # all of them on one worker
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not on_gpu or os.environ.get("VOCSCORE_REQUIRE_GPU") == "1":
        return
    import torch

    if not torch.cuda.is_available():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(scope="session", autouse=True)
def compiled_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled models are kept among the tests' files, for all workers, not in the user's cache."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # that of the whole run
    cache = base / "compiled"
    cache.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        yield


@pytest.fixture(scope="session", autouse=True)
def _unsynced() -> Iterator[None]:
    """Nothing waits for a disk: no test takes the power away, so no test can tell.

    Tests of what is synced, and of what a full disk answers, put their own function here.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)  # an error where there is no such file, as before
        yield


@pytest.fixture(scope="session")
def voc_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn VOC tree: 48 small images of the 20 classes, with lists."""
    return draw_voc(tmp_path_factory.mktemp("voc") / "VOC2012", images=48, seed=1)


@pytest.fixture(scope="session")
def packed(voc_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn tree as shards with the splits train (24 images), val (16) and test (8)."""
    from quick_packing import pack_quickly

    from shards.sources.voc.read import read_voc
    from shards.splitting.splits import split_by_lists

    annotated = read_voc(voc_tree)
    out = tmp_path_factory.mktemp("packed") / "shards"
    return pack_quickly(annotated, split_by_lists(annotated), out)


@pytest.fixture(scope="session")
def voc_data() -> Path:
    """The folder of real images, where there is one."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("VOCSCORE_DATA", default))
    if not (folder / "voc2012-100").is_dir():
        pytest.skip(f"no real images at {folder}; set VOCSCORE_DATA to the folder that holds them")
    return folder


@pytest.fixture(scope="session")
def odd(voc_data: Path) -> Path:
    """Unusual but genuine files."""
    return voc_data / "odd"


@pytest.fixture
def light_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings of this process draw no charts, and compile equal backbones once."""
    import light_training

    light_training.skip_charts(monkeypatch)
    light_training.share_compiled(monkeypatch)


@pytest.fixture
def tiny_backbones(monkeypatch: pytest.MonkeyPatch) -> None:
    """'tiny' and 'tiny_dropout' are backbones of milliseconds, with batch statistics."""
    import tiny_backbone

    tiny_backbone.register(monkeypatch)


@pytest.fixture(scope="session")
def _s3_server() -> Iterator[Server]:
    pytest.importorskip("obstore")
    pytest.importorskip("moto")
    from s3_server import s3_server

    with s3_server() as server:
        yield server


@pytest.fixture
def storage(_s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket on loopback, with its address and credentials in the environment."""
    import uuid

    from s3_server import VARIABLES, Bucket

    from shards.remote import opening

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", _s3_server.url)
    opening.forget()
    bucket = Bucket(f"bucket-{uuid.uuid4().hex[:12]}", _s3_server)
    _s3_server.client.create_bucket(Bucket=bucket.name)
    _s3_server.layer.reset()
    yield bucket
    opening.forget()


@pytest.fixture
def fetch_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache for what is fetched from URLs; the folder is made when it is needed."""
    from vocscore import local_folders

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    local_folders._cache.cache_clear()
    yield tmp_path / "cache" / "vocscore" / "fetched"
    local_folders._cache.cache_clear()
