"""Where cache files go, with a home and without one."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from vocscore import caches
from vocscore.errors import CheckpointError
from vocscore.models.weights import imagenet_weights
from vocscore.runtime.compile_cache import load_or_compile

VARIABLES = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "MATPLOTLIBRC", *caches.PLACES)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for each test, and no variable that says more."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    made = tmp_path / "home"
    made.mkdir()
    monkeypatch.setenv("HOME", str(made))
    return made


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without HOME whom the password file does not know."""

    def unknown(_uid: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_the_users_cache_is_the_specifications(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_CACHE_HOME where it is absolute, else .cache in the home."""
    assert caches.folder() == home / ".cache" / "vocscore"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert caches.folder() == Path("/elsewhere/vocscore")
    for ignored in ("relative", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert caches.folder() == home / ".cache" / "vocscore"


@pytest.mark.parametrize("value", [None, "", "relative"])
def test_without_home_the_password_file_counts(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty HOME is none; a relative one names no folder."""
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: SimpleNamespace(pw_dir="/users/one"))
    if value is None:
        monkeypatch.delenv("HOME")
    else:
        monkeypatch.setenv("HOME", value)
    expected = None if value == "relative" else Path("/users/one/.cache/vocscore")
    assert caches.folder() == expected


@pytest.mark.usefixtures("nobody")
def test_nobody_has_no_cache_and_no_error() -> None:
    """Without a home a model is made and not kept."""
    assert caches.folder() is None
    made = load_or_compile(
        "name", load=lambda _: "read", make=lambda: "made", dump=lambda _: b"blob"
    )
    assert made == "made"


def test_libraries_are_pointed_into_ours(home: Path) -> None:
    """Each variable names a folder of our cache that is there."""
    caches.settle()
    caches.settle_matplotlib()
    for name in ("MPLCONFIGDIR", *caches.PLACES):
        folder = Path(os.environ[name])
        assert folder.is_dir()
        assert folder.parent == home / ".cache" / "vocscore"


def test_what_the_user_has_set_stays(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is there is not touched, and no folder is made for it."""
    for name in ("MPLCONFIGDIR", *caches.PLACES):
        monkeypatch.setenv(name, "/the/users")
    caches.settle()
    caches.settle_matplotlib()
    assert {os.environ[name] for name in ("MPLCONFIGDIR", *caches.PLACES)} == {"/the/users"}
    assert "MATPLOTLIBRC" not in os.environ
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("config", [None, "elsewhere"])
def test_the_users_settings_of_matplotlib_still_count(
    home: Path, tmp_path: Path, config: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file matplotlibrc is found though its folder is no longer looked at."""
    base = home / ".config" if config is None else tmp_path / config
    if config is not None:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(base))
    file = base / "matplotlib" / "matplotlibrc"
    file.parent.mkdir(parents=True)
    file.write_text("lines.linewidth: 7\n")
    caches.settle_matplotlib()
    assert os.environ["MATPLOTLIBRC"] == str(file)


UNWRITABLE = """
import os, sys
from vocscore import caches

caches.settle()
caches.settle_matplotlib()
places = {os.path.dirname(os.environ[name]) for name in ("MPLCONFIGDIR", *caches.PLACES)}
(place,) = places
assert place.startswith(os.environ["TMPDIR"]), place
assert os.access(place, os.W_OK)
"""


@pytest.mark.parametrize("base", ["/proc/nope", "/dev/null"])
def test_where_the_cache_cannot_be_written_it_is_temporary(tmp_path: Path, base: str) -> None:
    """Libraries that insist get a temporary folder, which is gone when the process has ended."""
    environment = {**os.environ, "XDG_CACHE_HOME": base, "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    words = [sys.executable, "-c", UNWRITABLE]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.usefixtures("nobody")
def test_a_library_that_asks_for_the_home_gets_one_that_holds_nothing() -> None:
    """Some do while they are imported; afterwards there is none again."""
    with pytest.raises(RuntimeError):
        Path.home()
    with caches.some_home():
        assert not Path.home().is_dir()
    assert "HOME" not in os.environ


def test_a_home_that_is_known_is_the_libraries(home: Path) -> None:
    """Nothing is put in its place."""
    with caches.some_home():
        assert Path.home() == home


@pytest.mark.usefixtures("nobody")
def test_weights_are_not_downloaded_to_a_folder_called_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a home, --weights imagenet says in one line that it has nowhere to put them."""
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"no home folder .* Set TORCH_HOME .*") as caught:
        imagenet_weights("squeezenet1_1")
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == {"home"}
