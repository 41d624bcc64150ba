"""Every command that the program prints, or that its documentation shows, runs as it stands."""

from __future__ import annotations

import ast
import configparser
import re
import shlex
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import pytest

from vocscore.cli.main import COMMANDS, main

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


ROOT = Path(__file__).parents[1]
PLACE = "here"
"""What stands for a value that is known when the program runs; a folder of this name exists."""
COMMAND = re.compile(rf"(?<![\w/.-])vocscore (?:{'|'.join(COMMANDS)})\b")
PIP = re.compile(r"pip install (?:--[\w-]+ )*('[^']+'|[\w.\[\]-]+)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")


class Text(NamedTuple):
    """Something that a person may read and type from."""

    where: str
    text: str


def messages() -> Iterator[Text]:
    """Every text in the code that is no docstring; what is computed is PLACE."""
    for file in sorted([*(ROOT / "vocscore").rglob("*.py"), *(ROOT / "shards").rglob("*.py")]):
        where = str(file.relative_to(ROOT))
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        told = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if isinstance(node, ast.JoinedStr):
                told.update(id(part) for part in node.values)
        for node in nodes:
            if isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in told:
                text = _text(node)
                if text is not None:
                    yield Text(f"{where}:{node.lineno}", text)
            elif isinstance(node, ast.Call):
                words = _joined(node)
                if words:
                    yield Text(f"{where}:{node.lineno}", shlex.join(words))


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    assert isinstance(node, ast.JoinedStr)
    return "".join(map(_word, node.values))


def _word(node: ast.expr) -> str:
    """A constant as it is, and PLACE for what is computed."""
    return (_text(node) or "") if isinstance(node, ast.Constant) else PLACE


def _joined(call: ast.Call) -> list[str]:
    """The words of a command that is put together: shlex.join([...]) or vocscore_command(...)."""
    name = ast.unparse(call.func)
    if name == "vocscore_command":
        words, start = call.args, ["vocscore"]
    elif name == "shlex.join" and call.args and isinstance(call.args[0], ast.List):
        words, start = call.args[0].elts, []
    else:
        return []
    return start + [_word(word) for word in words if not isinstance(word, ast.Starred)]


def helps() -> Iterator[Text]:
    """The help of every command."""
    yield Text("vocscore --help", str(main.help))
    for name in COMMANDS:
        yield Text(f"vocscore {name} --help", str(command_named(name).help))


def documents(*, blocks: bool) -> Iterator[Text]:
    """The lines of README.md and docs/ that are to be typed, or else the code within sentences."""
    fence = re.compile(r"^```.*?^```", flags=re.MULTILINE | re.DOTALL)
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        if file.name == "cli.md":  # made from the helps
            continue
        text = file.read_text(encoding="utf-8").replace("\\\n", " ")
        lines = "\n".join(fence.findall(text)).splitlines()
        spans = re.findall(r"`([^`\n]+)`", fence.sub("", text))
        for code in lines if blocks else spans:
            yield Text(file.name, code)


def command_named(name: str) -> click.Command:
    found = main.get_command(None, name)  # type: ignore[arg-type]
    assert found is not None
    return found


@cache
def shown_by_the_program() -> tuple[Text, ...]:
    """Its messages and helps; read by the first test that asks, as it takes a second."""
    return (*messages(), *helps())


@cache
def texts() -> tuple[Text, ...]:
    """What may be typed as it stands."""
    return (*shown_by_the_program(), *documents(blocks=True))


@cache
def spans() -> tuple[Text, ...]:
    """Code within sentences of the documentation."""
    return tuple(documents(blocks=False))


def commands(found: Text) -> Iterator[str]:
    """The commands in a text: from the program's name to where the sentence goes on."""
    for line in found.text.splitlines():
        for match in COMMAND.finditer(line):
            rest = line[match.start() :]
            if line[match.start() - 1 : match.start()] == "'":
                rest = rest.partition("'")[0]
            yield re.split(r" [|#&>;]|[;)]|\. |\.$|, |: ", rest)[0].strip()


def printed(found: Iterable[Text]) -> list[tuple[str, str]]:
    """Where, and the command."""
    return sorted({(one.where, command) for one in found for command in commands(one)})


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which everything that the examples name exists; URLs are not asked for."""
    monkeypatch.setattr("vocscore.cli.path_types.fetch_typed", lambda _url, _fetched: tmp_path)
    for name in (
        PLACE,
        "shards",
        "run",
        "photos",
        "RUN",
        "SRC",
        "SHARDS",
        "VOCdevkit/VOC2012",
        "coco",
        "run-1",
        "run-2",
        "vit_base_patch16_224",
    ):
        (tmp_path / name).mkdir(parents=True)
    for n in range(10):
        (tmp_path / f"shards{n}").mkdir()
    (tmp_path / "shards-2").mkdir()
    for name in ("out_of_fold.csv", "out_of_fold.corrections.csv"):
        (tmp_path / "run" / name).touch()
    for name in (
        "photos.csv",
        "predictions.csv",
        "before.csv",
        "after.csv",
        "thresholds.json",
        "resnet18.pth",
        "mine.toml",
        "a.json",
        "b.json",
        "train.json",
        "val.json",
        "names.txt",
        "resnet50.pth",
        "model.onnx",
    ):
        (tmp_path / name).touch()
    for name in ("coco/annotations/instances_train2017.json", "pets/train/_annotations.coco.json"):
        for split in ("train", "val", "valid"):
            file = tmp_path / name.replace("train", split)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    monkeypatch.setenv("VOCSCORE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parse(command: str) -> None:
    """Let click read a command, and run nothing.

    Raises:
        click.ClickException: it would be refused.
    """
    for variable, value in (("VOCSCORE_DATA", "."), ("seed", "0"), ("recipe", "strong")):
        command = command.replace(f"${variable}", value)
    words = shlex.split(command)
    command_named(words[1]).make_context(words[1], words[2:])


def test_commands_are_found() -> None:
    """The search sees messages, commands put together, help and documentation."""
    found = {command for _, command in printed(texts())}
    assert "vocscore quantize here" in found
    assert "vocscore verify here --decode" in found
    assert "vocscore train shards/ -o run/ --recipe strong" in found
    assert any(where == "README.md" for where, _ in printed(texts()))
    assert len(found) > 30


@pytest.mark.usefixtures("places")
def test_every_command_can_be_typed() -> None:
    """Each is the name of a command alone, or has everything that the command asks for."""
    refused = []
    for where, command in printed(texts()):
        if re.fullmatch(COMMAND, command):
            continue  # a name in a sentence: "a folder that 'vocscore train' wrote"
        try:
            parse(command)
        except click.ClickException as error:
            refused.append(f"{where}: {command}: {error.format_message()}")
    assert not refused, "\n".join(refused)


def test_commands_within_sentences_have_the_options_they_name() -> None:
    """`vocscore train --calibrate` in a sentence leaves things out, but names no option wrongly."""
    unknown = []
    for where, command in printed(spans()):
        params = command_named(command.split()[1]).params
        options = {o for p in params for o in (*p.opts, *p.secondary_opts)}
        unknown += [f"{where}: {command}: {o}" for o in OPTION.findall(command) if o not in options]
    assert not unknown, "\n".join(unknown)


def extras() -> dict[str, list[str]]:
    """Extra -> the names of its packages; '' for what is always installed."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    found = {**config["options.extras_require"], "": config["options"]["install_requires"]}
    return {
        extra: re.findall(r"^([A-Za-z][\w.-]*)", lines.strip(), flags=re.MULTILINE)
        for extra, lines in found.items()
    }


def test_what_is_to_be_installed_exists() -> None:
    """An extra that a message names is one of the package's; another package is one of its own."""
    read = (*texts(), *spans())
    for asked in sorted({m[1].strip("'") for one in read for m in PIP.finditer(one.text)}):
        name, _, extra = asked.partition("[")
        if not name.replace(PLACE, ""):
            continue  # known when the program runs
        if name in ("vocscore", "."):
            assert not extra or extra.rstrip("]") in extras(), asked
        else:
            package = re.split(r"[<>=]", name)[0]
            assert any(package in packages for packages in extras().values()), asked


def known_options() -> set[str]:
    """The options of every command."""
    every = [main, *map(command_named, COMMANDS)]
    options = {o for c in every for p in c.params for o in (*p.opts, *p.secondary_opts)}
    others = {"--logdir", "--sparse", "--recursive", "--upgrade", "--force-reinstall"}
    others.add("--array")  # of sbatch
    return options | others | {"--help"}


def test_options_in_messages_exist() -> None:
    """A cure names an option that there is."""
    known = known_options()
    unknown = {
        f"{one.where}: {match[0]}"
        for one in shown_by_the_program()
        for match in OPTION.finditer(one.text)
        if PLACE not in match[0] and match[0] not in known
    }
    assert not unknown, "\n".join(sorted(unknown))
