"""Which images stand for all: from everywhere, none twice before all came once."""

from __future__ import annotations

import io
import tarfile
from itertools import islice, repeat

import pytest

from vocscore.errors import ScoreError
from vocscore.scoring.forecast.sample import NEIGHBORS, sample_of, spread
from vocscore.scoring.inputs.tar_units import open_tars
from vocscore.scoring.inputs.units import LooseFiles


@pytest.mark.parametrize("total", [1, 7, 8, 9, 100, 1001, 4096])
def test_every_pass_has_every_number_once(total: int) -> None:
    """The stretches of one pass are a permutation of the whole, and so are those of the next."""
    stretches = -(-total // NEIGHBORS)
    order = spread(total)
    for _ in range(2):
        numbers = [number for at in islice(order, stretches) for number in at]
        assert sorted(numbers) == list(range(total))


def test_every_beginning_is_spread_over_the_whole() -> None:
    """Of 20 folders, each has between half and twice its share of the first hundred stretches."""
    counts = [0] * 20
    for at in islice(spread(100_000), 100):
        counts[at.start * 20 // 100_000] += 1
    assert min(counts) >= 3
    assert max(counts) <= 10


def test_units_of_files_have_names_from_all_folders() -> None:
    """A thousand files in ten folders: the first 128 are from all ten, none twice."""
    names = [f"{number // 100}/{number:04d}.jpg" for number in range(1000)]
    sample = sample_of(LooseFiles("/in", names), seconds=1)
    (unit,) = islice(sample.units_of(repeat(128)), 1)
    found = [ref.name for ref in unit.read().images]
    assert len(set(found)) == 128
    assert {name[0] for name in found} == set("0123456789")
    assert (sample.images, sample.counted, sample.bytes, sample.tars) == (1000, True, None, None)


def write_tars(folder, counts):
    """Tars with so many one-byte images each; returns their names."""
    for tar, images in enumerate(counts):
        with tarfile.open(folder / f"{tar:02d}.tar", "w") as file:
            for number in range(images):
                info = tarfile.TarInfo(f"{number:03d}.jpg")
                info.size = 1
                file.addfile(info, io.BytesIO(b"x"))
    return [f"{tar:02d}.tar" for tar in range(len(counts))]


def test_the_images_of_many_tars_are_estimated(tmp_path) -> None:
    """Of 40 equal tars 16 are opened, and their images per byte give those of all."""
    sample = sample_of(open_tars(tmp_path, write_tars(tmp_path, [5] * 40)), seconds=60)
    assert sample.tars == 40
    assert (sample.images, sample.counted) == (200, False)
    assert sample.bytes == sum(file.stat().st_size for file in tmp_path.iterdir())
    assert len({ref.file for ref in islice(sample.refs(), 80)}) == 16


def test_the_images_of_few_tars_are_counted(tmp_path) -> None:
    """All are opened; the numbers of a manifest count, too, where they are known."""
    names = write_tars(tmp_path, [3, 0, 9])
    sample = sample_of(open_tars(tmp_path, names), seconds=60)
    assert (sample.images, sample.counted) == (12, True)


def test_units_of_tars_have_the_size_of_a_tar(tmp_path) -> None:
    """Each ends with a part of a batch, as in a run; large ones are not larger than asked for."""
    names = write_tars(tmp_path, [100, 102, 98])
    sample = sample_of(open_tars(tmp_path, names), seconds=60)
    sizes = [unit.weight for unit in islice(sample.units_of(repeat(512)), 5)]
    assert sizes == [100] * 5
    assert [unit.weight for unit in islice(sample.units_of(repeat(64)), 2)] == [64, 64]


def test_tars_without_an_image_are_refused(tmp_path) -> None:
    """One line says how many were looked at."""
    inputs = open_tars(tmp_path, write_tars(tmp_path, [0, 0]))
    with pytest.raises(ScoreError, match=r"^no image in 2 of 2 tars"):
        sample_of(inputs, seconds=60)
