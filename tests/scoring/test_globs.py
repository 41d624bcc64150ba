"""Which images `--include` and `--exclude` leave, by the rows that come out."""

from __future__ import annotations

import fnmatch
import io
import itertools
import tarfile

import pytest
from score_doubles import make_files, score_fake

from shards.errors import Reason
from vocscore.errors import ScoreError
from vocscore.scoring.inputs.globs import Globs
from vocscore.scoring.inputs.sources import read_source

NAMES = ["a.jpg", "A.JPG", "cats/b.png", "cats/deep/c.jpg", "dogs/[x].jpg", "dogs/x.jpg"]
PATTERNS = ["*.jpg", "cats/*", "*/c.*", "?.jpg", "dogs/[[]x].jpg", "*", "nothing"]
JPEG = b"\xff\xd8\xff rest"


def listed(source, *, include=(), exclude=()):
    inputs = read_source(source, globs=Globs(include, exclude))
    return [ref.name for unit in inputs.units(3) for ref in unit.read().images]


def make_tar(file, names, *, cut=None):
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(JPEG)
            tar.addfile(info, io.BytesIO(JPEG))
    file.write_bytes(file.read_bytes()[:cut])
    return file


@pytest.mark.parametrize("include", [(), *itertools.combinations(PATTERNS, 2)])
@pytest.mark.parametrize("exclude", [(), ("*.png",), ("cats/*", "A*")])
def test_inputs_are_what_fnmatch_leaves(tmp_path, include, exclude):
    """An image is an input if one inclusion (or none is given) and no exclusion matches it."""
    make_files(tmp_path, NAMES)
    expected = [
        name
        for name in sorted(NAMES)
        if (not include or any(fnmatch.fnmatchcase(name, glob) for glob in include))
        and not any(fnmatch.fnmatchcase(name, glob) for glob in exclude)
    ]
    if expected:
        assert listed(tmp_path, include=include, exclude=exclude) == expected
    else:
        with pytest.raises(ScoreError, match="leaves none"):
            listed(tmp_path, include=include, exclude=exclude)


def test_nothing_left_says_which_patterns_and_how_many_there_were(tmp_path):
    """An input emptied by patterns says so, with the patterns, the number, and an example."""
    make_files(tmp_path, NAMES)
    with pytest.raises(ScoreError) as error:
        listed(tmp_path, include=("*.JPEG",), exclude=("x*",))
    line = str(error.value)
    assert "`include=['*.JPEG'], exclude=['x*']` leaves none of its 6 images" in line
    assert "the first is A.JPG" in line


def test_patterns_hold_for_lists_as_their_paths_are_written(tmp_path):
    """Paths of a list are matched as they stand in it."""
    (tmp_path / "l.txt").write_text("/abs/x.jpg\nx.jpg\n../x.jpg\n")
    assert listed(tmp_path / "l.txt", include=("/abs/*", "../*")) == ["/abs/x.jpg", "../x.jpg"]


def test_in_tars_the_rows_names_are_matched(tmp_path):
    """Images of a tar are matched as TAR/MEMBER; a tar whose own path is excluded is not read."""
    make_tar(tmp_path / "t/a.tar", ["s/1.jpg", "s/2.png", "3.jpg"])
    make_tar(tmp_path / "t/b.tar", ["4.jpg"])
    assert listed(tmp_path, include=("*/s/*",)) == ["t/a.tar/s/1.jpg", "t/a.tar/s/2.png"]
    assert listed(tmp_path, exclude=("*b.tar", "*.png")) == ["t/a.tar/s/1.jpg", "t/a.tar/3.jpg"]
    assert len(list(read_source(tmp_path, globs=Globs((), ("*/b.tar",))).units(1))) == 1
    with pytest.raises(ScoreError, match=r"`exclude=\['\*\.tar'\]` leaves none of its 2 tars"):
        listed(tmp_path, exclude=("*.tar",))


def test_a_broken_tar_stays_a_row_whatever_is_included(tmp_path):
    """A tar that cannot be read is no image that an inclusion could leave out unseen."""
    make_tar(tmp_path / "a.tar", ["x.jpg"], cut=100)
    (unit,) = read_source(tmp_path, globs=Globs(("*.jpg",))).units(1)
    contents = unit.read()
    assert [ref.name for ref in contents.images] == ["a.tar"]
    assert contents.refusal.reason == Reason.CORRUPT


def test_tars_of_which_nothing_is_left_are_an_error_that_names_the_patterns(tmp_path):
    """Where only reading shows that nothing is left, the error names the patterns as well."""
    make_tar(tmp_path / "in/a.tar", ["x.jpg"])
    with pytest.raises(ScoreError, match=r"no image that `include=\['\*\.png'\]` leaves in 1 tars"):
        score_fake(tmp_path / "in", tmp_path / "out.csv", globs=Globs(("*.png",)))


def test_damage_of_a_tar_is_told_with_patterns_too(tmp_path):
    """Images left out by a pattern are not missed; a cut is."""
    make_tar(tmp_path / "a.tar", ["1.jpg", "2.png", "3.jpg"], cut=2100)
    (unit,) = read_source(tmp_path, globs=Globs(("*.png",))).units(1)
    contents = unit.read()
    assert [ref.name for ref in contents.images] == ["a.tar/2.png"]
    assert "The 2 images before it" in contents.problems[0]
