"""Three loaders, one meaning."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import kinds
import numpy as np
import pytest
import torch
from tolerances import REDUCED, assert_close, tolerance
from workshop import by_row, make, write

from shards.images import image_file, jpeg
from shards.sample import ImageRef
from vocscore.errors import DeviceError
from vocscore.pipeline import batching, host
from vocscore.pipeline.dali import DaliLoader
from vocscore.pipeline.host import HostLoader
from vocscore.pipeline.loaders import open_loader
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from pathlib import Path


GOOD = kinds.good()
LOADERS = {"host": "host", "dali": "dali cpu"}


def _all(name: str, refs: list[ImageRef], preprocess: Preprocess) -> dict[int, np.ndarray]:
    with make(name, preprocess) as loader:
        return by_row(loader.batches(refs))


@pytest.fixture(scope="module", params=[(64, True), (300, True), (64, False)], ids=str)
def drawn(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[int, np.ndarray]]:
    """Every drawn kind by every loader, smaller and larger than it was, upright or as stored."""
    size, upright = request.param
    refs = write(tmp_path_factory.mktemp("drawn"), GOOD)
    preprocess = Preprocess(size=size, upright=upright)
    return {name: _all(name, refs, preprocess) for name in ("reference", *LOADERS)}


@pytest.mark.parametrize("row", range(len(GOOD)), ids=list(GOOD))
@pytest.mark.parametrize("loader", LOADERS)
def test_drawn_kinds_agree_with_the_reference(
    drawn: dict[str, dict[int, np.ndarray]], loader: str, row: int
) -> None:
    """Every kind of image comes out of every loader as Pillow would make it."""
    name = list(GOOD)[row]
    allowed = tolerance(LOADERS[loader], name)
    assert_close(drawn[loader][row], drawn["reference"][row], allowed=allowed, name=name)


@pytest.mark.parametrize("loader", LOADERS)
def test_photographs_agree_with_the_reference(voc_data: Path, loader: str) -> None:
    """Real photographs come out of every loader as Pillow would make them."""
    files = sorted((voc_data / "voc2012-100" / "JPEGImages").iterdir())[:40]
    refs = [ImageRef(file.name, str(file)) for file in files]
    truth = _all("reference", refs, Preprocess())
    got = _all(loader, refs, Preprocess())
    assert sorted(got) == list(range(40))
    for row, ref in enumerate(refs):
        allowed = tolerance(LOADERS[loader], "jpeg")
        assert_close(got[row], truth[row], allowed=allowed, name=ref.name)


@pytest.mark.parametrize("loader", LOADERS)
def test_odd_files_agree_with_the_reference(odd: Path, loader: str) -> None:
    """Odd but genuine files are decoded, or refused for the same reason, by every loader."""
    files = sorted(f for f in odd.glob("*/*") if "LICENSE" not in f.name)
    refs = [ImageRef(file.name, str(file)) for file in files]
    outcomes = {}
    for name in ("reference", loader):
        with make(name, Preprocess(size=128)) as opened:
            batches = list(opened.batches(refs))
        failures = {f.row: f.fault for b in batches for f in b.failures}
        outcomes[name] = by_row(batches), failures
    truth, got = outcomes["reference"], outcomes[loader]
    assert got[1] == truth[1]
    assert got[0].keys() == truth[0].keys()
    for row, pixels in truth[0].items():
        head = image_file.probe(files[row].read_bytes())
        large = head.format == "JPEG" and jpeg.reduction(head.width, head.height, side=128) > 1
        allowed = REDUCED if large else tolerance(LOADERS[loader], "jpeg")
        assert_close(got[0][row], pixels, allowed=allowed, name=refs[row].name)


@pytest.mark.parametrize("loader", ["reference", *LOADERS])
def test_bad_images_have_the_same_reason_everywhere(tmp_path: Path, loader: str) -> None:
    """Each way of being bad has one code, whoever finds it, and no pixels."""
    bad = kinds.bad()
    refs = write(tmp_path, {name: data for name, (data, _) in bad.items()})
    with make(loader, Preprocess(size=32)) as opened:
        batches = list(opened.batches(refs))
    found = {f.row: str(f.fault.reason) for batch in batches for f in batch.failures}
    assert found == dict(enumerate(code for _, code in bad.values()))
    assert all(batch.images.shape == (0, 3, 32, 32) for batch in batches)


@pytest.mark.parametrize("loader", ["reference", *LOADERS])
def test_batches_are_channels_last_bytes(tmp_path: Path, loader: str) -> None:
    """Every batch, with or without failures in it, is uint8 and channels-last."""
    jpeg = GOOD["jpeg"]
    refs = write(tmp_path, {"a": jpeg, "b": jpeg, "c": b"", "d": jpeg, "e": GOOD["png"]})
    with make(loader, Preprocess(size=32), batch_size=2) as opened:
        for batch in opened.batches(refs):
            assert batch.images.dtype == torch.uint8
            assert batch.images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (47, 61), (64, 64), (500, 333)])
def test_resizing_is_torchs_interpolation(shape: tuple[int, int], interpolation: str) -> None:
    """Resizing in place gives, bit for bit, what torch's public function returns."""
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    out = batching.empty_images(3, 64)[1]
    height, width = shape
    whole = image_file.Decoded(pixels, width, height, reduced=1, orientation=1)
    host.resize(whole, interpolation, out=out)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    expected = torch.nn.functional.interpolate(
        image, (64, 64), mode=interpolation, align_corners=False, antialias=True
    )
    assert torch.equal(out, expected[0])


def test_auto_is_the_host_on_cpu() -> None:
    """Without a GPU the host path is the fast one."""
    with make("auto", Preprocess()) as loader:
        assert isinstance(loader, HostLoader)


def test_an_unknown_loader_is_refused() -> None:
    """A name that is none of the loaders' is an error that lists them."""
    with pytest.raises(ValueError, match="auto, host, dali, reference"):
        make("pil", Preprocess())


@pytest.mark.parametrize("device", ["cuda:99", "nonsense", "meta"])
def test_a_device_that_is_not_there_is_one_line(device: str) -> None:
    """A missing or unknown device is a known error that names it."""
    with pytest.raises(DeviceError, match=device):
        make("auto", Preprocess(), device=device)


def test_missing_dali_is_one_line_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where DALI is not installed, asking for it says what to install and what else to do."""
    monkeypatch.setitem(sys.modules, "nvidia.dali", None)
    with pytest.raises(DeviceError, match=r"pip install nvidia-dali-cuda130.*`loader='host'`"):
        make("dali", Preprocess())


def test_auto_on_gpu_without_dali_warns_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a GPU is and DALI is not, the host decodes, and a warning says so."""
    monkeypatch.setitem(sys.modules, "nvidia.dali", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.warns(RuntimeWarning, match="Decoding on the CPU"):
        loader = open_loader(
            "auto", Preprocess(), batch_size=1, device="cuda", threads=1, max_pixels=1
        )
    loader.close()
    assert isinstance(loader, HostLoader)


def test_loaders_do_not_import_dali_by_themselves() -> None:
    """DALI is loaded when a DALI loader is opened, not before."""
    import subprocess

    code = "import sys, vocscore.pipeline.loaders; sys.exit('nvidia.dali' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_image_that_dali_reads_differently_goes_its_own_way(tmp_path: Path) -> None:
    """EXIF that DALI reads unlike everyone (tag 274 as a BYTE) does not turn the image."""
    jpeg = GOOD["jpeg exif 6"]
    at = jpeg.index(b"\x12\x01\x03\x00") if b"\x12\x01\x03\x00" in jpeg else -1
    order = "little" if at >= 0 else "big"
    tag = b"\x12\x01\x03\x00" if order == "little" else b"\x01\x12\x00\x03"
    as_byte = tag.replace(b"\x03", b"\x01")
    # A BYTE lies in the first of the four value bytes, whatever the byte order.
    start = jpeg.index(tag)
    changed = (
        jpeg[:start] + as_byte + jpeg[start + 4 : start + 8] + b"\x06\0\0\0" + jpeg[start + 12 :]
    )
    refs = write(tmp_path, {"stored": GOOD["jpeg exif 1"], "turned by some": changed})
    with DaliLoader(
        Preprocess(size=32), batch_size=2, threads=1, device="cpu", max_pixels=10**6
    ) as loader:
        (batch,) = loader.batches(refs)
    assert torch.equal(batch.images[0], batch.images[1])


@pytest.mark.parametrize("loader", ["reference", *LOADERS])
def test_a_consumer_in_inference_mode_gets_the_same_images(loader: str, tmp_path: Path) -> None:
    """The consumer's mode reaches a generator's body; the threads must not stumble on it."""
    refs = write(tmp_path, GOOD)
    preprocess = Preprocess(size=32)
    plain = _all(loader, refs, preprocess)
    with torch.inference_mode():
        found = _all(loader, refs, preprocess)
    assert found.keys() == plain.keys()
    for row, pixels in found.items():
        np.testing.assert_array_equal(pixels, plain[row])
