"""Memory of images at the same time: bounded, always enough for one, and given back."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from encoded import drawn, encoded, in_three_scans
from PIL import Image

from shards.images import allocator, image_file, memory
from shards.images.budget import PIXELS, Budget, image


class Watched:
    """Threads that claim, with the most that was claimed at a time by those that work."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.lock = threading.Lock()
        self.now = self.most = self.most_images = self.images = 0

    def work(self, *sizes: int) -> None:
        with self.budget.image():
            for size in sizes:
                self.budget.claim(size)
            with self.lock:
                self.now += sum(sizes)
                self.images += 1
                self.most = max(self.most, self.now)
                self.most_images = max(self.most_images, self.images)
            time.sleep(0.002)
            with self.lock:
                self.now -= sum(sizes)
                self.images -= 1

    def run(self, works: list[tuple[int, ...]]) -> None:
        threads = [threading.Thread(target=self.work, args=sizes) for sizes in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in threads)


def test_claims_stay_below_the_limit() -> None:
    """Small images run side by side, as many as fit."""
    watched = Watched(Budget(100))
    watched.run([(30,)] * 24)
    assert 60 <= watched.most <= 100


def test_an_image_above_the_limit_is_worked_on_alone() -> None:
    """It waits for the others, and they wait for it."""
    watched = Watched(Budget(100))
    watched.run([(10,), (500,), (10,), (700,), (10,)] * 3)
    assert watched.most == 700


def test_two_claims_of_an_image_never_block_each_other() -> None:
    """Many that hold their file and wait for their pixels: one after the other goes on."""
    watched = Watched(Budget(100))
    watched.run([(40, 90)] * 16)
    assert watched.images == 0


def test_what_was_claimed_is_given_back_after_an_error() -> None:
    """Otherwise the next image would wait forever."""
    budget = Budget(10)

    def fail() -> None:
        with budget.image():
            budget.claim(10)
            raise ValueError("bad")

    for _ in range(3):
        with pytest.raises(ValueError, match="bad"):
            fail()


def test_waiting_files_leave_room_for_pixels() -> None:
    """Files have a quarter, so that what waits for pixels and one that decodes stay below."""
    files, pixels = Budget(100), Budget(300)
    lock, now, most = threading.Lock(), 0, 0

    def work() -> None:
        nonlocal now, most
        with files.image(), pixels.image():
            for budget, size in ((files, 45), (pixels, 200)):
                budget.claim(size)
                with lock:
                    now += size
                    most = max(most, now)
            time.sleep(0.002)
            with lock:
                now -= 245

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert 245 <= most <= 400


def test_the_limit_can_be_changed_while_threads_wait() -> None:
    """Those that fit now go on."""
    watched = Watched(Budget(10))
    held = threading.Event()

    def hold() -> None:
        with watched.budget.image():
            watched.budget.claim(10)
            held.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    waiting = threading.Thread(target=watched.work, args=(50,))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    watched.budget.set_limit(100)
    waiting.join(20)
    assert not waiting.is_alive()
    held.set()
    holder.join(20)


def test_freed_memory_is_given_back_after_large_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before their claim is; never after small ones, which would take it again at once."""
    seen: list[int] = []
    monkeypatch.setattr(allocator, "trim", lambda: seen.append(PIXELS.claimed()))
    for size in (100 << 20, 1 << 20):
        with image():
            PIXELS.claim(size)
    with image():
        pass
    assert seen == [100 << 20]
    assert PIXELS.claimed() == 0
    monkeypatch.undo()
    allocator.trim()  # whatever the C library


@pytest.fixture
def claimed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What is claimed for pixels."""
    sizes: list[int] = []
    budget = Budget(1 << 30)
    monkeypatch.setattr(budget, "claim", sizes.append)
    monkeypatch.setattr(image_file, "PIXELS", budget)
    return sizes


def test_decoding_claims_what_it_takes(claimed: list[int]) -> None:
    """At least three bytes per pixel of what is decoded."""
    image = drawn(640, 480)
    for data in (encoded(image, "PNG"), encoded(image, "JPEG")):
        claimed.clear()
        pixels = memory.spared(lambda data=data: image_file.decode(data, max_pixels=10**6))
        assert pixels.shape == (480, 640, 3)
        assert sum(claimed) >= np.prod(pixels.shape)


@pytest.mark.parametrize(("subsampling", "a_pixel"), [("4:4:4", 6), ("4:2:2", 4), ("4:2:0", 3)])
def test_coefficients_of_progressive_files_are_claimed(
    claimed: list[int], subsampling: str, a_pixel: int
) -> None:
    """Two bytes for each of them, whatever the scale; checking alone keeps them too."""
    data = encoded(
        Image.new("RGB", (4000, 3000)), "JPEG", progressive=True, subsampling=subsampling
    )
    image_file.decode_to_resize(data, 256, max_pixels=10**8)
    image_file.check(data, max_pixels=10**8, whole=True)
    for size in claimed:
        assert a_pixel * 12e6 < size < (a_pixel + 0.1) * 12e6
    assert len(claimed) == 2


@pytest.mark.parametrize(
    ("sampling", "a_pixel"), [((1, 1), 6), ((2, 1), 4), ((2, 2), 3), ((4, 2), 8 + 2.5)]
)
def test_coefficients_of_baseline_files_of_several_scans_are_claimed(
    claimed: list[int], sampling: tuple[int, int], a_pixel: float
) -> None:
    """They are kept like those of progressive ones; 4:1:0 is decoded in full, by Pillow."""
    data = in_three_scans(1600, 1200, sampling)
    image_file.decode_to_resize(data, 100, max_pixels=10**8)
    image_file.check(data, max_pixels=10**8, whole=True)
    for size in claimed:
        assert a_pixel * 1.92e6 < size < (a_pixel + 0.1) * 1.92e6
    assert len(claimed) == 2


def test_an_image_that_is_turned_is_claimed_twice(claimed: list[int]) -> None:
    """Once as stored, once upright; no second one where the square is turned."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for size, twice in (((640, 480), True), ((4000, 3000), False)):
        sums = []
        for words in ({}, {"exif": exif}):
            claimed.clear()
            data = encoded(Image.new("RGB", size), "JPEG", **words)
            image_file.decode_to_resize(data, 256, max_pixels=10**8)
            sums.append(sum(claimed))
        assert (sums[1] > 1.2 * sums[0]) == twice


_MEASURED = r"""
import sys
from shards.images import image_file, memory
from shards.images.budget import PIXELS

claim, claimed = PIXELS.claim, []
PIXELS.claim = lambda size: (claimed.append(size), claim(size))

def now(name):
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(name)))

for name in sys.argv[1:]:
    with open(name, "rb") as file:
        data = file.read()
    for counted in (False, True):  # libraries are loaded by the first
        claimed.clear()
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        before = now("VmRSS")
        memory.spared(lambda: image_file.decode_to_resize(data, 256, max_pixels=10**9))
        peak = now("VmHWM") - before
    print(peak, sum(claimed))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_claims_are_what_decoding_takes(tmp_path: Path) -> None:
    """Of 8 megapixels, as the kernel counts it; 16 MB are left to the allocator."""
    image = drawn(320, 250).resize((3200, 2500))
    kinds = {
        "JPEG": {},
        "WEBP": {"method": 0},
        "PNG": {},
        "TIFF": {"compression": "tiff_lzw"},
        "BMP": {},
        "GIF": {},
        "PPM": {},
    }
    images = [(name, image, words) for name, words in kinds.items()]
    images += [
        ("JPEG", image, {"progressive": True, "subsampling": "4:4:4"}),
        ("JPEG", image.convert("CMYK"), {"progressive": True}),
        ("PNG", image.convert("LA"), {}),
        ("TIFF", image.convert("CMYK"), {"compression": "tiff_lzw"}),
    ]
    made = [encoded(one, name, **words) for name, one, words in images]
    made += [in_three_scans(3200, 2500, sampling) for sampling in ((1, 1), (2, 2), (4, 2))]
    files = [tmp_path / f"{number}" for number in range(len(made))]
    for file, data in zip(files, made, strict=True):
        file.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *map(str, files)], check=True, capture_output=True
    )
    for file, line in zip(files, done.stdout.decode().splitlines(), strict=True):
        peak, claim = map(int, line.split())
        assert peak <= claim + (16 << 20), made[int(file.name)][:12]
