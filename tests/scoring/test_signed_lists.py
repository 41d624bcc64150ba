"""Lists of signed addresses: no secret in what is written, one row per line, signed again."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from mutations import good_jpegs
from tiny_network import make_checkpoint, run

from shards.errors import StorageError
from vocscore.errors import ScoreError
from vocscore.scoring.inputs.globs import Globs
from vocscore.scoring.inputs.saved import read_inputs, write_inputs
from vocscore.scoring.inputs.sources import read_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIGNED = "X-Amz-Credential=SECRET&X-Amz-Signature="


class _Images(BaseHTTPRequestHandler):
    """Answers what is signed by NEW; the images of 'bad' are pages."""

    accepted = ("SECRET-old", "SECRET-new")

    def do_GET(self) -> None:
        good = any(self.path.endswith(f"Signature={one}") for one in type(self).accepted)
        body = b"<html>" if "bad" in self.path or not good else good_jpegs()[0]
        self.send_response(200 if good else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Log nothing."""


@pytest.fixture
def server() -> Iterator[tuple[type[_Images], str]]:
    """The server, and its address."""
    pytest.importorskip("obstore")
    handler = type("Images", (_Images,), {})
    running = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield handler, f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()
    thread.join()


def listed(folder: Path, url: str, signature: str) -> Path:
    """A list of 30 images, one of them bad, and one twice in two forms."""
    names = [f"{number:02d}.jpg?id=1" for number in range(29)]
    lines = [f"{url}/{name}" for name in [*names, "bad.jpg?id=1", "00.jpg?id=2"]]
    file = folder / "list.txt"
    file.write_text("".join(f"{line}&{SIGNED}{signature}\n" for line in lines))
    return file


def everything(folder: Path) -> bytes:
    """All that lies below a folder, but for the list."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return b"".join(str(one).encode() + one.read_bytes() for one in files if one.suffix != ".txt")


def test_a_run_and_its_resume(server: tuple[type[_Images], str], tmp_path: Path) -> None:
    """A signature that expires stops the run; a list that is signed again resumes it."""
    handler, url = server
    checkpoint, output = make_checkpoint(tmp_path / "run"), tmp_path / "p.csv"
    bad = tmp_path / "bad"
    source = listed(tmp_path, url, "SECRET-old")
    run(source, tmp_path / "whole.csv", checkpoint, unit_size=10)
    text = source.read_text().splitlines(keepends=True)
    late = [line.replace("SECRET-old", "SECRET-late") for line in text[20:]]
    source.write_text("".join([*text[:20], *late]))
    with pytest.raises(StorageError, match="access is denied by 403") as error:
        run(source, output, checkpoint, unit_size=10, quarantine=bad)
    assert "SECRET" not in str(error.value)
    assert (tmp_path / "p.csv.parts").is_dir()
    assert b"SECRET" not in everything(tmp_path)
    handler.accepted = ("SECRET-new",)
    report = run(listed(tmp_path, url, "SECRET-new"), output, checkpoint, unit_size=10)
    assert (report.images, report.resumed) == (31, 20)
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert b"SECRET" not in everything(tmp_path)
    rows = output.read_text().splitlines()[1:]
    assert rows[0].startswith(f"{url}/00.jpg?id=1,ok")
    assert rows[29].startswith(f"{url}/bad.jpg?id=1,error")
    assert rows[30].startswith(f"{url}/00.jpg?id=2,ok")


def test_a_listing_that_is_stored(tmp_path: Path) -> None:
    """Jobs read the addresses as they were; patterns match the paths of rows."""
    source = listed(tmp_path, "https://h", "SECRET-old")
    found = read_source(source, globs=Globs(("*.jpg?id=2",)))
    assert found.images == 1
    with (tmp_path / "listing").open("wb") as file:
        write_inputs(found, file)
    again = read_inputs(tmp_path / "listing")
    assert again.digest() == found.digest()
    assert (
        again.digest()
        == read_source(
            listed(tmp_path, "https://h", "other"), globs=Globs(("*.jpg?id=2",))
        ).digest()
    )
    (image,) = next(again.units(5)).read().images
    assert image.name == "https://h/00.jpg?id=2"
    assert image.file.endswith("SECRET-old")


def test_a_key_in_a_line_is_refused(tmp_path: Path) -> None:
    """One line names the place, and not the secret."""
    (tmp_path / "list.txt").write_text("a.jpg\ns3://AKIA:x/SECRET@b/k.jpg\n")
    with pytest.raises(ScoreError, match=r"line 2: s3://b/k\.jpg: a URL with cred") as error:
        read_source(tmp_path / "list.txt")
    assert "SECRET" not in str(error.value)
