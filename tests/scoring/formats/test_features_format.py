"""The formats of features: parts, and the file that they are joined to."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from vocscore.errors import ScoreError
from vocscore.scoring.formats.features_format import NpyFeatures, ParquetFeatures
from vocscore.scoring.output.rows import Rows


def rows_of(values, names=None):
    values = np.asarray(values, np.float32)
    names = names or [f"{i}.jpg" for i in range(len(values))]
    return Rows(names, np.zeros((len(values), 2), np.float32), {}, values)


@pytest.mark.parametrize("kind", [NpyFeatures, ParquetFeatures])
def test_units_without_images_and_odd_names_are_no_trouble(tmp_path, kind):
    """A tar may have no image; a name may be no text."""
    arguments = ({},) if kind is ParquetFeatures else ()
    form = kind(np.dtype("<f4"), *arguments)
    odd = rows_of([[1, 2], [3, 4]], ["a\udcff", "b"])
    units = [rows_of(np.zeros((0, 2))), odd, rows_of([[5, 6]])]
    parts = []
    for number, unit in enumerate(units):
        parts.append(tmp_path / f"{number}{form.suffix}")
        with parts[-1].open("wb") as file:
            form.write(file, unit)
    for chosen, expected in ((parts, [[1, 2], [3, 4], [5, 6]]), (parts[:1], [])):
        whole = tmp_path / f"whole{form.suffix}"
        with whole.open("wb") as file:
            form.join(file, chosen)
        if kind is NpyFeatures:
            assert np.load(whole).tolist() == expected
            assert np.load(whole).shape[1] == 2
        else:
            table = pq.read_table(whole)
            assert table["features"].to_pylist() == expected
            assert table["path_bytes"].to_pylist() == ([b"a\xff", None, None] if expected else [])


def test_a_feature_too_large_for_half_a_float_is_an_error_that_names_the_image(tmp_path):
    """Not silently infinite."""
    form = NpyFeatures(np.dtype("<f2"))
    with (
        (tmp_path / "f.npy").open("wb") as file,
        pytest.raises(ScoreError, match=r"^1\.jpg: a feature is 70000, and float16 ends at 65504"),
    ):
        form.write(file, rows_of([[1, 2], [3, -70000]]))
