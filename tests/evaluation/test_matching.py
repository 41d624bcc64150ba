"""Two lists of paths of the same images, and which belong together."""

from __future__ import annotations

import random
import time

import pytest

from vocscore.errors import EvalError
from vocscore.evaluation.matching import match_paths


def matched(labeled: list[str], predicted: list[str]) -> dict[str, str]:
    """Labeled path -> predicted path."""
    return {labeled[i]: predicted[j] for i, j in match_paths(labeled, predicted).pairs.items()}


def test_equal_paths_are_pairs_in_any_order() -> None:
    """Equal paths are found wherever they stand; the others have no pair."""
    found = match_paths(["a/1.jpg", "a/2.jpg", "a/3.jpg"], ["a/9.jpg", "a/3.jpg", "a/1.jpg"])
    assert dict(found.pairs) == {0: 2, 2: 1}
    assert found.exact


def test_one_equal_path_rules_out_a_match_by_ending() -> None:
    """Where some path is equal the folder is the right one, and a like ending is another file."""
    assert matched(["a/1.jpg", "a/2.jpg"], ["a/1.jpg", "thumbs/2.jpg"]) == {"a/1.jpg": "a/1.jpg"}


@pytest.mark.parametrize("prefix", ["", "VOC2012/JPEGImages/", "/data/VOC2012/JPEGImages/"])
def test_a_deeper_or_higher_folder_is_matched_by_endings(prefix: str) -> None:
    """Scoring JPEGImages itself, or a folder above the packed one, still finds every image."""
    labeled = [f"JPEGImages/{n}.jpg" for n in range(5)]
    predicted = [f"{prefix}{n}.jpg" for n in (4, 2, 0, 1, 7)]
    assert not match_paths(labeled, predicted).exact
    assert matched(labeled, predicted) == {
        f"JPEGImages/{n}.jpg": f"{prefix}{n}.jpg" for n in (0, 1, 2, 4)
    }


def test_the_longest_ending_decides_between_equal_names() -> None:
    """Images of one name in several folders are told apart by their folders."""
    labeled = ["2007/J/1.jpg", "2012/J/1.jpg"]
    predicted = ["kit/2012/J/1.jpg", "kit/2007/J/1.jpg", "kit/thumbs/1.jpg"]
    assert matched(labeled, predicted) == {
        "2007/J/1.jpg": "kit/2007/J/1.jpg",
        "2012/J/1.jpg": "kit/2012/J/1.jpg",
    }


def test_endings_are_whole_names() -> None:
    """`21.jpg` is not `1.jpg`, although it ends so."""
    assert matched(["a/1.jpg", "a/21.jpg"], ["21.jpg"]) == {"a/21.jpg": "21.jpg"}


@pytest.mark.parametrize(
    ("labeled", "predicted"),
    [
        (["a/1.jpg", "b/1.jpg"], ["1.jpg"]),
        (["1.jpg"], ["a/1.jpg", "b/1.jpg"]),
        (["a/1.jpg", "b/1.jpg", "c/2.jpg"], ["q/1.jpg", "2.jpg"]),
        (["x/a/1.jpg", "x/c/1.jpg"], ["r/a/1.jpg", "q/1.jpg"]),
    ],
)
def test_doubt_is_refused(labeled: list[str], predicted: list[str]) -> None:
    """A file name that could be several images ends in an error that names two of the paths."""
    with pytest.raises(EvalError, match=r"1\.jpg' may or may not be the labeled '.*1\.jpg'"):
        match_paths(labeled, predicted)


def test_nothing_in_common_is_refused_with_two_examples() -> None:
    """Lists without a pair end in an error that shows a path of each."""
    with pytest.raises(EvalError, match=r"'x/7\.jpg'; labeled: 'a/1\.jpg'"):
        match_paths(["a/1.jpg"], ["x/7.jpg"])
    with pytest.raises(EvalError, match="predicted: none"):
        match_paths(["a/1.jpg"], [])


@pytest.mark.parametrize("seed", range(40))
def test_pairs_equal_those_of_a_plain_comparison_of_all_with_all(seed: int) -> None:
    """Each pair is the mutual, only best one by folders in common, counted for every two paths."""
    rng = random.Random(seed)

    def draw() -> list[str]:
        depth = [rng.randint(0, 3) for _ in range(6)]
        paths = {"/".join([*rng.choices("ab", k=d), rng.choice("123")]) for d in depth}
        return sorted(paths)

    labeled, predicted = draw(), [f"top/{path}" for path in draw()]

    def common(one: str, other: str) -> int:
        a, b = one.split("/"), other.split("/")
        return max(n for n in range(min(len(a), len(b)) + 1) if a[len(a) - n :] == b[len(b) - n :])

    def only_best(path: str, others: list[str]) -> str | None:
        most = max(common(path, other) for other in others)
        best = [other for other in others if common(path, other) == most]
        return best[0] if most > 0 and len(best) == 1 else None

    expected = {}
    for path in labeled:
        other = only_best(path, predicted)
        if other is not None and only_best(other, labeled) == path:
            expected[path] = other
    names_left = {p.rpartition("/")[2] for p in predicted if p not in expected.values()}
    doubtful = any(p.rpartition("/")[2] in names_left for p in labeled if p not in expected)
    if doubtful or not expected:
        with pytest.raises(EvalError):
            match_paths(labeled, predicted)
    else:
        assert matched(labeled, predicted) == expected


def test_many_images_of_one_name_take_no_quadratic_time() -> None:
    """50,000 folders that each hold an `image.jpg` are matched in seconds, not hours."""
    labeled = [f"{n}/image.jpg" for n in range(50_000)]
    started = time.process_time()
    found = match_paths(labeled, [f"top/{path}" for path in reversed(labeled)])
    assert found.pairs[0] == 49_999
    assert len(found.pairs) == 50_000
    assert time.process_time() - started < 5
