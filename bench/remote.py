"""Scoring from object storage behind 30 ms of latency, beside the same files on the local disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING
from unittest import mock

from bench import product
from bench.outcome import Outcome, held
from bench.s3_server import BUCKET, MANY
from bench.timing import Timed, interleave

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.contests import Options
    from shards.sample import ImageRef

LATENCY = 0.03
IMAGES, TARS, KEYS = 1000, 4, 1_000_000
LOOSE, PACKED, BYTES_A_KEY = 0.85, 0.95, 20
"""Goals: shares of the local rate, and memory of a listing."""
_LISTING = """
import sys, time
from pathlib import Path
from vocscore.scoring.inputs.sources import read_source
# not ru_maxrss: on Linux that begins with the peak of the process that started this one
peak = lambda: 1024 * int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
read_source(sys.argv[1].replace("many", "photos"))
before, started = peak(), time.perf_counter()
inputs = read_source(sys.argv[1])
inputs.digest()
print(inputs.images, time.perf_counter() - started, peak() - before)
"""


def run(options: Options) -> Iterator[Outcome]:
    """Score loose images and tars, local and remote, then list a million keys."""
    bucket, images = options.scratch / "bucket", options.image_set(IMAGES)
    tars = _tars(images.refs, bucket / "tars")
    shutil.copytree(images.folder, bucket / "photos", copy_function=os.link)
    model = options.checkpoint("resnet18").run
    with storage(bucket) as url:
        sources: dict[str, Path | str] = {
            "local images": images.folder,
            "remote images": f"{url}/photos",
            "local tars": tars,
            "remote tars": f"{url}/tars",
        }
        outputs = {name: options.scratch / f"{name}.csv" for name in sources}

        def scored(name: str) -> Timed:
            settings = {"images": len(images.refs), "overwrite": True, "unit_size": 256}
            return product.timed_score(sources[name], outputs[name], model=model, **settings)

        each = {name: partial(scored, name) for name in sources}
        rates = interleave(each, repeats=options.repeats)
        listing = _listed(f"{url}/{MANY}")
    with storage(bucket, keys=KEYS // 10) as url:
        fewer = _listed(f"{url}/{MANY}")
    written = {name: output.read_bytes() for name, output in outputs.items()}
    kinds = ("images", "tars")
    same = all(written[f"local {kind}"] == written[f"remote {kind}"] for kind in kinds)
    shares = {
        kind: rates[f"remote {kind}"].median / rates[f"local {kind}"].median for kind in kinds
    }
    # the slope: a listing of any length needs 10 MB for its connections and buffers
    bytes_a_key = (listing["bytes"] - fewer["bytes"]) / (listing["keys"] - fewer["keys"])
    yield Outcome(
        contest="remote",
        title=f"object storage to CSV, {LATENCY * 1000:.0f} ms to each answer, ResNet-18",
        rates=rates,
        ceilings={f"remote {kind}": f"local {kind}" for kind in kinds},
        facts={
            **images.facts,
            "bytes equal": same,
            "listing": listing,
            "bytes_a_key": bytes_a_key,
            "shares": shares,
        },
        lines=(
            f"images: {shares['images']:.3f} of local: {held(shares['images'] >= LOOSE)}",
            f"tars: {shares['tars']:.3f} of local: {held(shares['tars'] >= PACKED)}",
            f"rows equal: {held(same)}",
            f"listing {listing['keys']:,.0f} keys: {listing['seconds']:.1f} s",
            f"memory per key: {bytes_a_key:.1f} bytes: {held(bytes_a_key < BYTES_A_KEY)}",
        ),
    )


def _tars(refs: Sequence[ImageRef], target: Path) -> Path:
    target.mkdir(parents=True)
    for number in range(TARS):
        with tarfile.open(target / f"{number:02d}.tar", "w") as tar:
            for ref in refs[number::TARS]:
                tar.add(ref.file, ref.name)
    return target


@contextmanager
def storage(folder: Path, *, keys: int = KEYS) -> Iterator[str]:
    """Serve a folder, and point the usual variables to the server."""
    words = [sys.executable, "-m", "bench.s3_server", str(folder), str(LATENCY), str(keys)]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)  # noqa: S603 - own module
    assert server.stdout is not None
    here = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{int(server.stdout.readline())}",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": "us-east-1",
    }
    try:
        with mock.patch.dict(os.environ, here):
            yield f"s3://{BUCKET}"
    finally:
        server.terminate()
        server.wait()


def _listed(url: str) -> dict[str, float]:
    """List a prefix in a process of its own, which has listed another one before."""
    words = [sys.executable, "-c", _LISTING, url]
    done = subprocess.run(words, check=True, capture_output=True, text=True)  # noqa: S603
    keys, seconds, growth = map(float, done.stdout.split())
    return {"keys": keys, "seconds": seconds, "bytes": growth}
