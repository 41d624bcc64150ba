"""The number of a GPU's JPEG engines: from nvJPEG, or unknown; never a crash."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from vocscore.pipeline import gpu_engines
from vocscore.pipeline.gpu_engines import count_engines, described_gpu, jpeg_engines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    Compiled = Callable[..., ctypes.CDLL]

LIBRARY = """
static int handle, open_handles;
int nvjpegCreateEx(int backend, void *device, void *pinned, unsigned flags, void **out) {
    if (backend != 3 || device || pinned || flags) return 2;
    open_handles++;
    *out = &handle;
    return CREATED;
}
int nvjpegGetHardwareDecoderInfo(void *in, unsigned *engines, unsigned *cores) {
    if (in != &handle) return 2;
    *engines = 7;
    *cores = 1;
    return TOLD;
}
int nvjpegDestroy(void *in) { return in == &handle ? open_handles-- : 2; }
int still_open(void) { return open_handles; }
"""


@pytest.fixture
def compiled(tmp_path: Path) -> Compiled:
    """Builds a library with nvJPEG's three functions, which return the given statuses."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")

    def build(created: int = 0, told: int = 0, source: str = LIBRARY) -> ctypes.CDLL:
        (tmp_path / "nvjpeg.c").write_text(source)
        file = tmp_path / f"libnvjpeg-{created}-{told}.so"
        words = [f"-DCREATED={created}", f"-DTOLD={told}", "-shared", "-fPIC", "-o", str(file)]
        subprocess.run([compiler, *words, str(tmp_path / "nvjpeg.c")], check=True)
        return ctypes.CDLL(str(file))

    return build


@pytest.mark.parametrize(
    ("created", "told", "engines"),
    [(0, 0, 7), (7, 0, 0), (1, 0, None), (6, 0, None), (0, 9, None)],
    ids=["seven", "a GPU without engines", "no driver", "no GPU", "cannot tell"],
)
def test_the_number_is_what_the_library_tells(
    compiled: Compiled, created: int, told: int, engines: int | None
) -> None:
    """By the statuses of `nvjpeg.h`; handles are given back."""
    library = compiled(created, told)
    assert count_engines(library) == engines
    assert library.still_open() == (0 if created == 0 else 1)  # no handle where it failed


def test_a_library_that_is_too_old_is_known_before_anything_is_created(compiled: Compiled) -> None:
    """It has no such function."""
    old = compiled(source=LIBRARY.replace("nvjpegGetHardwareDecoderInfo", "other"))
    with pytest.raises(AttributeError):
        count_engines(old)
    assert old.still_open() == 0


def test_nvjpeg_itself_without_a_driver_is_unknown() -> None:
    """The library of the wheel opens, and says that it cannot be used."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    files = list(gpu_engines._libraries())
    if not files:
        pytest.skip("nvJPEG is not installed")
    assert count_engines(ctypes.CDLL(files[0])) is None
    assert jpeg_engines("cuda:0") is None


def test_the_cpu_has_none() -> None:
    """And no library is opened."""
    assert jpeg_engines("cpu") is None


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU as far as torch is asked here."""
    from contextlib import nullcontext

    def current(_device: object) -> AbstractContextManager[None]:
        return nullcontext()

    monkeypatch.setattr(gpu_engines, "on_device", current)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "GPU 9000")


def opening(libraries: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make these the libraries that are found, in order; an exception is raised."""

    def found() -> Iterator[str]:
        yield from libraries

    def opened(file: str) -> Any:
        one = libraries[file]
        if isinstance(one, Exception):
            raise one
        return one

    monkeypatch.setattr(gpu_engines, "_libraries", found)
    monkeypatch.setattr(ctypes, "CDLL", opened)


def stub(status: int, engines: int) -> SimpleNamespace:
    """A library of Python functions."""

    def told(_handle: object, out: Any, _cores: object) -> int:
        out._obj.value = engines
        return 0

    return SimpleNamespace(
        nvjpegCreateEx=lambda *_: status,
        nvjpegGetHardwareDecoderInfo=told,
        nvjpegDestroy=lambda _handle: 0,
    )


@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize(
    ("libraries", "line"),
    [
        ({"a": stub(0, 7)}, "GPU 9000, 7 JPEG engines"),
        ({"a": stub(0, 1)}, "GPU 9000, 1 JPEG engine"),
        ({"a": stub(7, 9)}, "GPU 9000, no JPEG engines"),
        ({}, "GPU 9000, an unknown number of JPEG engines"),
        ({"a": OSError("not a library")}, "GPU 9000, an unknown number of JPEG engines"),
        (
            {"a": OSError("x"), "old": SimpleNamespace(), "newer": stub(1, 0), "b": stub(0, 5)},
            "GPU 9000, 5 JPEG engines",
        ),
    ],
)
def test_the_line_of_a_summary(
    monkeypatch: pytest.MonkeyPatch, libraries: dict[str, Any], line: str
) -> None:
    """The first library that tells; whatever is wrong with the others, the number is unknown."""
    opening(libraries, monkeypatch)
    assert described_gpu("cuda:0") == line


@pytest.mark.parametrize("error", [RuntimeError("no driver"), AssertionError("not compiled")])
def test_a_gpu_that_cannot_be_used_is_unknown(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """What torch raises for it, or without CUDA, ends nothing."""

    def refuses(_device: object) -> None:
        raise error

    monkeypatch.setattr(gpu_engines, "on_device", refuses)
    assert jpeg_engines("cuda:0") is None


@pytest.mark.gpu
def test_a_gpu_tells_its_engines() -> None:
    """From 0 to some; H100 and H200 have 7, less in a part of one."""
    found = jpeg_engines("cuda:0")
    assert found is not None
    assert 0 <= found <= 64
    name = torch.cuda.get_device_name(0)
    if ("H100" in name or "H200" in name) and "MIG" not in name:
        assert found == 7
    assert described_gpu("cuda:0").startswith(f"{name}, ")
