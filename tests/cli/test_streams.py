"""Standard streams that are missing, full, left or of another encoding, and end no command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

NAME = "日本.txt"  # no latin-1

WORK = """
import sys
from pathlib import Path
import click
from vocscore.cli.progress import progress
from vocscore.cli.streams import settled_streams
with settled_streams():
    with progress("work", quiet=False) as shown:
        shown.stage("working")
        shown(1, 2)
        print("a library's word", file=sys.stderr)
        Path("out.txt").write_text("whole")
    click.echo("summary of \\u65e5\\u672c")
    print("and more \\udcff", flush=True)
sys.exit(7)
"""


def shell(line: str, *, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which $WORK is the program above and $VOCSCORE the command."""
    return subprocess.run(
        ["bash", "-c", line],
        cwd=cwd,
        env={
            **os.environ,
            "PYTHON": sys.executable,
            "WORK": WORK,
            "VOCSCORE": f"{sys.executable} -m vocscore",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            **environment,
        },
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


@pytest.mark.parametrize(
    "streams",
    [
        "2>&-",
        ">&-",
        ">&- 2>&-",
        "<&- >&- 2>&-",
        "> /dev/full",
        "2> /dev/full",
        "> /dev/full 2>&1",
        "| true",
        "2>&1 | true",
        "2> >(true)",
        "2</dev/null",
    ],
)
def test_work_is_done_whatever_the_streams_are(streams: str, tmp_path: Path) -> None:
    """No stream's fault changes what is written or the exit code, and none is a traceback."""
    line = f'exec 9> rc; "$PYTHON" -c "$WORK" {streams}; echo ${{PIPESTATUS[0]}} >&9'
    done = shell(line, cwd=tmp_path)
    assert (tmp_path / "rc").read_text() == "7\n"
    assert (tmp_path / "out.txt").read_text() == "whole"
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"PYTHONIOENCODING": "latin-1"}, "summary of \\u65e5\\u672c\nand more \\udcff\n"),
        ({"PYTHONIOENCODING": "utf-16"}, "summary of 日本\nand more \\udcff\n"),
        ({"PYTHONIOENCODING": "ascii"}, "summary of 日本\nand more \\udcff\n"),
        ({"PYTHONIOENCODING": "utf-8"}, "summary of 日本\nand more \\udcff\n"),
        (
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            "summary of 日本\nand more \\udcff\n",
        ),
    ],
)
def test_what_an_encoding_lacks_is_written_as_its_escape(
    environment: dict[str, str], text: str, tmp_path: Path
) -> None:
    """A character that the terminal cannot show is escaped; ASCII (no locale) is UTF-8."""
    done = shell('exec "$PYTHON" -c "$WORK" > printed', cwd=tmp_path, **environment)
    assert done.returncode == 7
    assert "Traceback" not in done.stderr
    written = (tmp_path / "printed").read_bytes()
    encoding = environment.get("PYTHONIOENCODING", "utf-8").replace("ascii", "utf-8")
    assert written.decode(encoding) == text


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    """What a C library prints to descriptor 2 goes nowhere, and not into the next opened file."""
    code = (
        "import os, subprocess, sys\n"
        "from vocscore.cli.streams import settled_streams\n"
        "with settled_streams():\n"
        "    with open('rows.csv', 'w') as rows:\n"
        "        for number in (1, 2):\n"
        "            os.write(number, b'junk')\n"
        "            subprocess.run(['sh', '-c', f'echo junk >&{number}'], check=True)\n"
        "        rows.write('row')\n"
    )
    done = shell('exec "$PYTHON" -c "$CODE" <&- >&- 2>&-', cwd=tmp_path, CODE=code)
    assert done.returncode == 0
    assert (tmp_path / "rows.csv").read_text() == "row"


def test_streams_without_python_objects(tmp_path: Path) -> None:
    """Where somebody has set sys.stdout and sys.stderr to None, commands work as well."""
    code = (
        "import sys\n"
        "sys.stdout = sys.stderr = sys.stdin = None\n"
        "from vocscore.cli.main import main\n"
        "main(['nosuch'])\n"
    )
    assert shell('exec "$PYTHON" -c "$CODE"', cwd=tmp_path, CODE=code).returncode == 2


def test_streams_of_others_are_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """In a test or a notebook sys.stdout is somebody's own, and stays."""
    from vocscore.cli.streams import lost_output, settled_streams

    before = sys.stdout
    with settled_streams():
        assert sys.stdout is before
        assert lost_output() is None
    assert sys.stdout is before


def test_a_pipe_that_does_not_block_loses_nothing(tmp_path: Path) -> None:
    """Where another program made the pipe non-blocking, a full one is waited for."""
    code = (
        "import os, sys\n"
        "from vocscore.cli.streams import settled_streams\n"
        "os.set_blocking(1, False)\n"
        "with settled_streams():\n"
        "    sys.stdout.write('x' * 1_000_000)\n"
    )
    done = shell('"$PYTHON" -c "$CODE" | (sleep 0.3; wc -c)', cwd=tmp_path, CODE=code)
    assert done.stdout.strip() == "1000000"


ROWS = """
import os, subprocess, sys
from vocscore.cli.streams import rows_to_stdout, settled_streams
with settled_streams():
    with rows_to_stdout() as rows:
        rows.write(b"row \\xff\\n")
        print("printed")
        os.write(1, b"a C library\\n")
        subprocess.run(["echo", "a child"], check=True)
        rows.write(b"last\\n")
    print("behind")
"""


def test_rows_are_alone_on_standard_output(tmp_path: Path) -> None:
    """What Python, C and child processes print meanwhile is on standard error."""
    done = shell('"$PYTHON" -c "$ROWS" > rows', cwd=tmp_path, ROWS=ROWS)
    assert (tmp_path / "rows").read_bytes() == b"row \xff\nlast\nbehind\n"
    assert sorted(done.stderr.splitlines()) == ["a C library", "a child", "printed"]
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("streams", "says"),
    [
        (">&-", "ScoreError: standard output is closed. Redirect it, or name a file with -o."),
        ("> /dev/full", "OSError: [Errno 28] No space left on device"),
        ("| true", "BrokenPipeError: [Errno 32] Broken pipe"),
    ],
)
def test_rows_are_never_dropped_silently(streams: str, says: str, tmp_path: Path) -> None:
    """Unlike text, rows that cannot be written are an error."""
    line = f'(sleep 0.2; exec "$PYTHON" -c "$ROWS") {streams}'
    assert says in shell(line, cwd=tmp_path, ROWS=ROWS).stderr


@pytest.fixture(scope="module")
def shards(voc_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed set, by a command whose streams are all closed."""
    folder = tmp_path_factory.mktemp("streams")
    line = f"$VOCSCORE pack {voc_tree} -o {NAME} <&- >&- 2>&-"
    assert shell(line, cwd=folder).returncode == 0
    return folder / NAME


def test_a_lost_summary_is_told_and_costs_no_exit_code(shards: Path) -> None:
    """`verify > /dev/full`: the exit code is that of the set; standard error says what was lost."""
    done = shell(f"$VOCSCORE verify {NAME} > /dev/full", cwd=shards.parent)
    assert done.returncode == 0
    assert "warning: standard output: No space left on device" in done.stderr


def test_findings_that_cannot_be_printed_keep_their_exit_code(shards: Path, tmp_path: Path) -> None:
    """A damaged set is exit code 1, printed or not; a reader that goes away is no fault."""
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for file in shards.iterdir():
        (damaged / file.name).write_bytes(file.read_bytes())
    with next(damaged.glob("*.tar")).open("ab") as tar:
        tar.write(b"x")
    for streams in ("> /dev/full", "| true", ">&-"):
        done = shell(f"$VOCSCORE verify damaged {streams}; exit ${{PIPESTATUS[0]}}", cwd=tmp_path)
        assert done.returncode == 1, streams
        assert "Traceback" not in done.stderr


def test_a_summary_that_an_encoding_cannot_show(shards: Path) -> None:
    """The output's name in a latin-1 terminal: exit code 0, the name as escapes."""
    done = shell(f"$VOCSCORE verify {NAME}", cwd=shards.parent, PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stdout) == (0, "\\u65e5\\u672c.txt: no problems found\n")


def test_errors_reach_their_exit_code_without_a_standard_error(tmp_path: Path) -> None:
    """A known error is exit code 2, whether its line can be written or not."""
    for streams in ("2>&-", "2> /dev/full", "2> >(true)"):
        assert shell(f"$VOCSCORE verify nowhere {streams}", cwd=tmp_path).returncode == 2
