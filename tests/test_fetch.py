"""VOC from a server on this machine that may be wrong, slow to speak, or not there at all."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from shards.manifest import read_manifest
from shards.synthetic.voc import draw_voc
from vocscore import fetch
from vocscore.cli.main import main
from vocscore.errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Iterator

TREE = os.path.join("VOCdevkit", "VOC2007")  # noqa: PTH118 - as torchvision writes it


class Site:
    """A server of a folder, which counts what is asked of it."""

    def __init__(self, folder: Path) -> None:
        """Serve it on a free port."""
        self.folder = folder
        self.fetched: list[str] = []
        self.cut = False
        site = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.lstrip("/")
                if site.fetched[-1:] != [name]:  # torchvision asks twice, for redirections first
                    site.fetched.append(name)
                if not site.cut:
                    return super().do_GET()
                body = (site.folder / name).read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2])
                return None

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # it hangs up
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        """Stop answering; the port is free then."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def pack_tars(tree: Path, folder: Path) -> None:
    """Two tars as VOC2007's are: the images of train and val with their lists, and those of test.

    The second holds nothing of the first but the folders.
    """
    lists = tree / "ImageSets" / "Main"
    for name, parts in (("trainval", ("train", "val", "trainval")), ("test", ("test",))):
        ids = {one for part in parts for one in (lists / f"{part}.txt").read_text().split()}
        with tarfile.open(folder / f"{name}.tar", "w") as tar:
            for one in sorted(ids):
                for file in (f"JPEGImages/{one}.jpg", f"Annotations/{one}.xml"):
                    tar.add(tree / file, f"{TREE}/{file}")
            for part in parts:
                tar.add(lists / f"{part}.txt", f"{TREE}/ImageSets/Main/{part}.txt")


@pytest.fixture(scope="module")
def tars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archives of a tiny VOC 2007."""
    folder = tmp_path_factory.mktemp("archives")
    pack_tars(draw_voc(folder / "VOC2007", images=60, seed=3, width=40, height=30), folder)
    return folder


@pytest.fixture
def site(tars: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Torchvision's table with this server's addresses and md5s."""
    served = Site(tars)
    for key, name in (("2007", "trainval"), ("2007-test", "test")):
        point(monkeypatch, key, served, f"{name}.tar")
    yield served
    with contextlib.suppress(OSError):
        served.close()


def point(patch: pytest.MonkeyPatch, key: str, site: Site, name: str) -> None:
    entry = {
        "url": f"{site.url}/{name}",
        "filename": name,
        "md5": hashlib.md5((site.folder / name).read_bytes()).hexdigest(),
        "base_dir": TREE,
    }
    patch.setitem(fetch.DATASET_YEAR_DICT, key, entry)


def get(folder: Path) -> Path:
    return fetch.fetch_voc("2007", folder, say=lambda _line: None, quiet=True)


def test_the_published_archives() -> None:
    """2007 has its test images, 2012 has none; torchvision knows address and md5 of each."""
    for name in ("2007", "2007-test", "2012"):
        entry = fetch.DATASET_YEAR_DICT[name]
        assert entry["url"].startswith("https://thor.robots.ox.ac.uk/pascal/VOC/")
        assert len(entry["md5"]) == 32
    assert fetch.ARCHIVES == {"2007": ("2007", "2007-test"), "2012": ("2012",)}


def test_pack_downloads(site: Site, tmp_path: Path, tars: Path) -> None:
    """One command: both archives, train, val and test packed, the bytes of a pack of the tree."""
    out = tmp_path / "shards"
    done = CliRunner().invoke(main, ["pack", "--download", "2007", "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert f"fetching {site.url}/test.tar" in done.output
    assert (tmp_path / "shards-download" / TREE / "JPEGImages").is_dir()
    plain = CliRunner().invoke(
        main, ["pack", str(tars / "VOC2007"), "-o", str(tmp_path / "plain"), "-q"]
    )
    assert plain.exit_code == 0, plain.output
    found, expected = read_manifest(out), read_manifest(tmp_path / "plain")
    assert list(found.splits) == ["train", "val", "test"]
    assert found.shards() == expected.shards()
    assert sorted(site.fetched) == ["test.tar", "trainval.tar"]


def test_what_is_there_is_used_again(site: Site, tmp_path: Path) -> None:
    """Unpacked: not asked for, even without the archive; whole but not unpacked: not fetched."""
    tree = get(tmp_path)
    assert site.fetched == ["trainval.tar", "test.tar"]
    (tmp_path / "trainval.tar").unlink()
    (tmp_path / "test.tar.unpacked").unlink()
    image = next((tree / "JPEGImages").iterdir())
    image.unlink()
    (tmp_path / "trainval.tar.unpacked").write_text("another md5")
    assert get(tmp_path) == tree
    assert site.fetched == ["trainval.tar", "test.tar", "trainval.tar"]
    assert image.exists()
    site.close()
    for name in ("trainval.tar", "test.tar"):
        (tmp_path / name).unlink()
    assert get(tmp_path) == tree


def test_a_damaged_archive_is_fetched_again(site: Site, tmp_path: Path) -> None:
    """What an interrupted download left does not pass for the archive."""
    (tmp_path / "trainval.tar").write_bytes((site.folder / "trainval.tar").read_bytes()[:1000])
    get(tmp_path)
    assert site.fetched == ["trainval.tar", "test.tar"]
    assert (tmp_path / "trainval.tar").read_bytes() == (site.folder / "trainval.tar").read_bytes()


def test_a_truncated_download_is_one_line_and_then_mended(site: Site, tmp_path: Path) -> None:
    """A connection that ends early: refused with the cure; nothing is unpacked; again is enough."""
    site.cut = True
    with pytest.raises(FetchError, match="truncated") as caught:
        get(tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "VOCdevkit").exists()
    site.cut = False
    assert len(list((get(tmp_path) / "JPEGImages").iterdir())) == 60


def test_a_wrong_md5(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another file under the address is never unpacked; the command says file, address, place."""
    entry = {**fetch.DATASET_YEAR_DICT["2007"], "md5": "0" * 32}
    monkeypatch.setitem(fetch.DATASET_YEAR_DICT, "2007", entry)
    words = ["pack", str(tmp_path / "voc"), "--download", "2007", "-o", str(tmp_path / "s"), "-q"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert done.output.count("\n") == 1
    for part in (f"{site.url}/trainval.tar", "0" * 32, str(tmp_path / "voc" / "trainval.tar")):
        assert part in done.output
    assert not (tmp_path / "voc" / "VOCdevkit").exists()


def test_no_server_and_the_manual_cure(site: Site, tmp_path: Path, tars: Path) -> None:
    """Without a network one line says what to put where; put there, the command works."""
    site.close()
    words = ["pack", str(tmp_path / "voc"), "--download", "2007", "-o", str(tmp_path / "s")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    error = done.output.splitlines()[-1]
    assert "cannot be fetched" in error
    assert f"save it as {tmp_path / 'voc' / 'trainval.tar'}" in error
    for name in ("trainval.tar", "test.tar"):
        (tmp_path / "voc" / name).write_bytes((tars / name).read_bytes())
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output


def test_an_address_that_is_gone(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 404 shows its number."""
    entry = {**fetch.DATASET_YEAR_DICT["2007"], "url": f"{site.url}/gone.tar"}
    monkeypatch.setitem(fetch.DATASET_YEAR_DICT, "2007", entry)
    with pytest.raises(FetchError, match="404"):
        get(tmp_path)


def test_a_server_that_says_nothing(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent connection is given up."""
    import socket

    monkeypatch.setattr(fetch, "_SILENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/trainval.tar"
        entry = {**fetch.DATASET_YEAR_DICT["2007"], "url": url}
        monkeypatch.setitem(fetch.DATASET_YEAR_DICT, "2007", entry)
        with pytest.raises(FetchError, match="timed out"):
            get(tmp_path)
    assert socket.getdefaulttimeout() is None


@pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="this Python has no data_filter")
@pytest.mark.parametrize("name", ["../outside.txt", "VOCdevkit/../../outside.txt"])
def test_members_that_would_land_elsewhere(
    name: str, site: Site, tmp_path: Path, tars: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tar with ../ is refused in one line; nothing is written outside, and nothing is packed."""
    with tarfile.open(tars / "evil.tar", "w") as tar:
        member = tarfile.TarInfo(name)
        member.size = 3
        tar.addfile(member, io.BytesIO(b"bad"))
    point(monkeypatch, "2007", site, "evil.tar")
    with pytest.raises(FetchError, match="cannot be unpacked safely") as caught:
        get(tmp_path / "in")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("outside.txt"))
    with pytest.raises(FetchError, match="cannot be unpacked safely"):
        get(tmp_path / "in")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "s"], "--download a year"),
        (["no/such/folder", "-o", "s"], "SRC no/such/folder: no such folder"),
        (["--download", "2011", "-o", "s"], "2011"),
        (["--download", "2007", "--labels", "t.csv", "-o", "s"], "omit --labels and --coco"),
    ],
)
def test_commands_that_mean_nothing(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused before anything is fetched."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("path,labels\n")
    done = CliRunner().invoke(main, ["pack", *words])
    assert done.exit_code == 2
    assert message in done.output
    assert not Path("s-download").exists()
