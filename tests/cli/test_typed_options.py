"""Messages name options as Python does; the command line prints them as they are typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

import vocscore as vs
from vocscore.cli.main import main
from vocscore.cli.typed_options import as_typed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("command", "python", "typed"),
    [
        ("score", "Use `overwrite=True`, or another `output`.", "Use --overwrite, or another -o."),
        ("score", "Use a smaller `batch_size`.", "Use a smaller --batch-size."),
        ("score", "Use `device='cpu'`.", "Use --device cpu."),
        ("score", "more than `max_bad=0.1` allows", "more than --max-bad 0.1 allows"),
        ("score", "name `model='a run'` or `source`", "name -m 'a run' or SRC"),
        ("merge", "another `output`", "another OUT"),
        ("pack", "without `verify=False`", "without --no-verify"),
        ("score", "pack without `verify=False`", "pack without --no-verify"),
        ("pack", "`raw=True, resize=256, fit='crop'`", "--raw --resize 256 --fit crop"),
        ("pack", "`rename=[('a b', 'c'), ('d', 'e')]`", "--rename 'a b' c --rename d e"),
        (
            "pack",
            "`coco=['train=a.json']` or `labels=FILE`",
            "--coco train=a.json or --labels FILE",
        ),
        ("pack", r"`label_separator='\t'`", "--label-separator '\t'"),
        ("pack", "`from_='voc'`", "--from voc"),
        (
            "score",
            "`no_such_option=True` and `labels.npy`",
            "`no_such_option=True` and `labels.npy`",
        ),
        ("score", "photos/`top_k=`/1.jpg, `device=)`", "photos/`top_k=`/1.jpg, `device=)`"),
        ("score", "'vocscore pack SRC -o SHARDS'", "'vocscore pack SRC -o SHARDS'"),
    ],
)
def test_options_as_they_are_typed(command: str, python: str, typed: str) -> None:
    """Keywords become options of the running command, else of another; nothing else changes."""
    group = click.Context(main)
    found = main.get_command(group, command)
    assert found is not None
    with group, click.Context(found, parent=group):
        assert as_typed(python) == typed


def test_one_line_for_both_doors(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The function and the command refuse the same file, each in its own words."""
    folder = tmp_path_factory.mktemp("made")
    file = folder / "model.onnx"
    file.touch()
    with pytest.raises(vs.Error, match=r"Replace it with `overwrite=True`\.$"):
        vs.export(folder, file)
    done = CliRunner().invoke(main, ["export", str(folder), "-o", str(file)])
    assert (done.exit_code, done.stderr.endswith("Replace it with --overwrite.\n")) == (2, True)


def test_options_that_contradict_each_other(tmp_path: Path) -> None:
    """They are named with the values that contradict each other."""
    words = ["train", str(tmp_path), "-o", "no-run", "--solver", "lbfgs", "--tune", "all"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert "--solver lbfgs needs --tune head: " in done.stderr
