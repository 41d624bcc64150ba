"""Arguments that are no options: wrong ones are refused at the call, in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import vocscore as vs
from vocscore.errors import EvalError, OptionError


@pytest.mark.parametrize("name", ["none.csv", "none.jsonl", "none.parquet", "none/", "none/a.csv"])
def test_predictions_that_are_not_there(name: str, tmp_path: Path) -> None:
    """One line with the path, the reason and the cure."""
    with pytest.raises(EvalError, match=r"none.*: No such file or directory\. Name what") as raised:
        vs.evaluate(tmp_path / name, tmp_path)
    assert "\n" not in str(raised.value)


def test_a_demo_in_a_file_is_refused(tmp_path: Path) -> None:
    """Also below one; nothing is written."""
    file = tmp_path / "l.txt"
    file.touch()
    for output in (file, file / "demo"):
        with pytest.raises(OptionError, match=r"^output .*: .*l\.txt is not a folder\. Name"):
            vs.demo(output, progress=False)
    assert list(tmp_path.iterdir()) == [file]


CALLS: list[tuple[str, str, list[Any], dict[str, Any]]] = [
    ("pack", "source", ["{}", "o"], {}),
    ("pack", "output", ["s", "{}"], {}),
    ("train", "shards", ["{}", "o"], {}),
    ("train", "output", ["s", "{}"], {}),
    ("score", "source", ["{}", "o.csv"], {"model": "m"}),
    ("score", "output", ["s", "{}"], {"model": "m"}),
    ("score", "model", ["s", "o.csv"], {"model": "{}"}),
    ("evaluate", "predictions", ["{}", "s"], {}),
    ("evaluate", "shards", ["p.csv", "{}"], {}),
    ("quantize", "run", ["{}"], {}),
    ("export", "run", ["{}", "o.onnx"], {}),
    ("export", "output", ["r", "{}"], {}),
    ("demo", "output", ["{}"], {}),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", r"is empty\. Name a (file|folder|folder or file)\."),
        ("a\0b", "NUL"),
        (None, "is None, but must be a path"),
        (3, "is 3, but must be a path"),
        (b"x", "is b'x', but must be a path"),
    ],
)
def test_paths_are_checked(
    call: tuple[str, str, list[Any], dict[str, Any]],
    value: Any,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the name of the argument; an empty one is not the current folder."""
    function, name, arguments, keywords = call
    if (name, value) == ("source", None) and function == "pack":
        return  # with `download` there is no source
    monkeypatch.chdir(tmp_path)
    given = [value if one == "{}" else one for one in arguments]
    named = {key: value if one == "{}" else one for key, one in keywords.items()}
    with pytest.raises(OptionError, match=rf"^{name} {message}|^{name} .*{message}"):
        getattr(vs, function)(*given, **named)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("progress", ["yes", 3, print, [], Path])
def test_progress_is_checked(progress: Any, tmp_path: Path) -> None:
    """Before anything is done."""
    with pytest.raises(OptionError, match=r"^progress is .*, but must be True, False, None, or"):
        vs.demo(tmp_path / "demo", progress=progress)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (3, "^options is 3, but must be a group"),
        ("x", "^options is 'x', but must be a group"),
        (None, "^options is None"),
        ([None], "^options is None"),
        (
            vs.InferenceConfig,
            r"^options: vs\.InferenceConfig is a class; make one: vs\.InferenceConfig\(\.\.\.\)$",
        ),
        ([vs.InferenceConfig], "is a class; make one"),
    ],
)
def test_options_are_checked(options: Any, message: str) -> None:
    """By what is in their place."""
    with pytest.raises(OptionError, match=message):
        vs.score("s", "o.csv", model="m", options=options)


@pytest.mark.parametrize("wrong", [{"recipe": None}, {"recipe": 3}, {"on_epoch": 3}])
def test_what_train_takes_is_checked(wrong: dict[str, Any], tmp_path: Path) -> None:
    """At the call, not after an epoch."""
    with pytest.raises(OptionError, match=f"^{next(iter(wrong))} is .*, but must be"):
        vs.train("s", tmp_path / "o", **wrong)


def test_a_recipe_may_be_a_path(tmp_path: Path) -> None:
    """As every file may."""
    with pytest.raises(vs.Error, match=r"none\.toml: No such file"):
        vs.train("s", tmp_path / "o", recipe=tmp_path / "none.toml")
    with pytest.raises(OptionError, match=r"^recipe is empty\. Name a recipe\.$"):
        vs.train("s", tmp_path / "o", recipe="")
    with pytest.raises(OptionError, match=r"^recipe is 'a\\x00\.toml', and no path contains a NUL"):
        vs.train("s", tmp_path / "o", recipe="a\0.toml")


def test_odd_names_of_predictions_stay_on_one_line(tmp_path: Path) -> None:
    """Line ends in a name are escaped."""
    with pytest.raises(EvalError, match=r"a\\nb\.csv': No such file") as raised:
        vs.evaluate(tmp_path / "a\nb.csv", tmp_path)
    assert "\n" not in str(raised.value)


def test_unknown_keywords_are_refused_with_a_cure() -> None:
    """A keyword like no other has no far-fetched suggestion."""
    with pytest.raises(OptionError, match=r"^no option is called 'bogus'\. See help\(vs\.train"):
        vs.train("s", "o", bogus=1)  # type: ignore[call-arg]
    with pytest.raises(OptionError, match=r"'progres'\. Did you mean 'progress'\?$"):
        vs.pack("s", "o", progres=True)  # type: ignore[call-arg]
