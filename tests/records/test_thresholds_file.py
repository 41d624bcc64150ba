"""Files of thresholds: what is read, and what is refused with one line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from vocscore.errors import ThresholdsError
from vocscore.records.thresholds_file import read_thresholds, write_thresholds

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("cat", "dog", "a;b", "é")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Every number, to the last bit; any JSON reader reads it."""
    file = tmp_path / "t.json"
    thresholds = {"cat": 0.1, "a;b": 0.30000001192092896, "é": 2.0}
    write_thresholds(file, thresholds)
    assert read_thresholds(file, CLASSES) == json.loads(file.read_text()) == thresholds


def test_integers_are_numbers(tmp_path: Path) -> None:
    """0, 1, and 2 for never."""
    file = tmp_path / "t.json"
    file.write_text('{"cat": 0, "dog": 1, "é": 2}')
    assert read_thresholds(file, CLASSES) == {"cat": 0.0, "dog": 1.0, "é": 2.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("[0.5]", "not a JSON object"),
        ('{"cow": 0.5}', "the model has no class cow"),
        ('{"cat": "high"}', "cat has 'high'"),
        ('{"cat": true}', "cat has True"),
        ('{"cat": null}', "cat has None"),
        ('{"cat": 1.5}', "cat has 1.5"),
        ('{"cat": -0.1}', "cat has -0.1"),
        ('{"cat": NaN}', "cat has nan"),
        ('{"cat": 0.1, "cat": 0.2}', "cat has two values"),
        ('{"cat\\n": 0.1}', r"no class 'cat\\n'"),
    ],
)
def test_other_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    """With one line that names the file."""
    file = tmp_path / "t.json"
    file.write_text(text)
    with pytest.raises(ThresholdsError, match=message.replace("[", r"\[")) as error:
        read_thresholds(file, CLASSES)
    assert str(error.value).startswith(f"{file}: ")
    assert "\n" not in str(error.value)


def test_no_file_and_no_text(tmp_path: Path) -> None:
    """A missing file, a folder, bytes that are not text."""
    for make in (lambda _: None, lambda f: f.mkdir(), lambda f: f.write_bytes(b"\xff\xfe\x00")):
        file = tmp_path / f"t{len(list(tmp_path.iterdir()))}.json"
        make(file)
        with pytest.raises(ThresholdsError, match=str(file)):
            read_thresholds(file, CLASSES)
