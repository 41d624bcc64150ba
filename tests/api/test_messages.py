"""Errors name options as Python does; commands in them stay commands."""

from __future__ import annotations

import pytest

import vocscore as vs
from vocscore.api.messages import in_python


@pytest.mark.parametrize(
    ("shell", "python"),
    [
        ("Replace it with --overwrite, or name another with -o.",
         "Replace it with overwrite=True, or name another with output."),
        ("Use --device auto or cpu.", 'Use device="auto" or cpu.'),
        ("Use '--device cpu'.", "Use 'device=\"cpu\"'."),
        ("Use a larger --batch-size, or --tune head.",
         'Use a larger batch_size, or tune="head".'),
        ("more than --max-bad 0.1 allows", "more than max_bad 0.1 allows"),
        ("pack again without --no-verify. To list: vocscore verify a/b.tar --decode",
         "pack again without verify=False. To list: vocscore verify a/b.tar --decode"),
        ("use --weights FILE, or --weights none.", 'use weights=FILE, or weights="none".'),
        ("Make it with: vocscore pack SRC -o SHARDS", "Make it with: vocscore pack SRC -o SHARDS"),
        ("photos--overwrite/x-o.jpg: truncated", "photos--overwrite/x-o.jpg: truncated"),
        ("--unknown stays", "--unknown stays"),
    ],
)  # fmt: skip
def test_options_by_their_python_names(shell: str, python: str) -> None:
    """Flags are keywords, with their values where these are known; nothing else changes."""
    assert in_python(shell) == python


def test_functions_say_it_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a function refuses is told in its own words."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "model.onnx").touch()
    with pytest.raises(vs.Error, match=r"Replace it with overwrite=True\."):
        vs.export(folder, folder / "model.onnx")
