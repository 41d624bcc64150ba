"""Which units a job scores: as it is typed, and as the schedulers number it."""

from __future__ import annotations

import pytest

from vocscore.config.jobs import JobsConfig
from vocscore.errors import OptionError, ScoreError
from vocscore.scoring.jobs.share import Share, array_expression, share_of, with_units


def slurm(task, count, first, last, step=1):
    names = ("ID", "COUNT", "MIN", "MAX", "STEP")
    values = (task, count, first, last, step)
    return {
        f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in zip(names, values, strict=True)
    }


def taken(environ, array=None):
    share = share_of("auto", environ, array=array)
    return str(share)


def test_shares_count_from_one_and_divide_all_units():
    """3/16 has the units 2, 18, 34, ...; all shares together have every unit once."""
    share = share_of("3/16", {})
    assert [number for number in range(40) if share.has(number)] == [2, 18, 34]
    shares = [share_of(f"{i}/5", {}) for i in range(1, 6)]
    assert all(sum(share.has(number) for share in shares) == 1 for number in range(23))


def test_any_is_no_share():
    """'any' does not depend on the environment."""
    assert share_of("any", {"RANK": "x"}) is None


@pytest.mark.parametrize("given", ["0/3", "4/3", "3", "1/0", "-1/3", "a/b", "1/3/5", "", "1 / 3"])
def test_what_is_no_share_is_refused(given):
    """Shares count from 1 and end at their number."""
    with pytest.raises(OptionError, match=r"^`units=.*counts from 1"):
        JobsConfig(units=given)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (slurm(3, 16, 1, 16), "3/16"),
        (slurm(0, 16, 0, 15), "1/16"),
        (slurm(30, 4, 10, 40, 10), "3/4"),
        (slurm(7, 1, 7, 7), "1/1"),
        ({"JOB_COMPLETION_INDEX": "0", "JOB_COMPLETIONS": "8"}, "1/8"),
        ({"AWS_BATCH_JOB_ARRAY_INDEX": "7", "AWS_BATCH_JOB_ARRAY_SIZE": "8"}, "8/8"),
        ({"RANK": "1", "WORLD_SIZE": "2"}, "2/2"),
        ({**slurm(3, 16, 1, 16), "RANK": "0", "WORLD_SIZE": "1"}, "3/16"),
    ],
)
def test_the_numbers_of_schedulers_become_shares(environ, expected):
    """SLURM counts as the user wishes, the others from 0."""
    assert taken(environ) == expected


def test_every_task_of_an_array_has_its_own_share():
    """`--array=10-40:10` gives the shares 1/4 to 4/4."""
    assert [taken(slurm(task, 4, 10, 40, 10)) for task in (10, 20, 30, 40)] == [
        "1/4",
        "2/4",
        "3/4",
        "4/4",
    ]


def test_a_part_of_an_array_that_is_started_again_keeps_its_shares():
    """`sbatch --array=3,7-9` after 1-16: task 7 has share 7/16 again, though 4 tasks run."""
    began = Share(0, 16, 1, 1, "SLURM_ARRAY_TASK_ID").array()
    assert taken(slurm(7, 4, 3, 9), began) == "7/16"
    assert taken(slurm(7, 3, 7, 9), began) == "7/16"
    assert taken(slurm(7, 64, 1, 64), began) == "7/64"  # a new array
    assert taken(slurm(7, 3, 7, 9)) == "1/3"  # nothing was begun


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "none of its variables is set: SLURM_ARRAY_TASK_ID"),
        (slurm(7, 4, 3, 9), "not evenly spaced.*`units='7/N'`"),
        ({"SLURM_ARRAY_TASK_ID": "3"}, "SLURM_ARRAY_TASK_COUNT is not"),
        ({"JOB_COMPLETION_INDEX": "3"}, "JOB_COMPLETIONS, the number of jobs, is not set"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK is 2, but WORLD_SIZE is 2"),
        ({"RANK": "x", "WORLD_SIZE": "2"}, "RANK is 'x', not a number"),
    ],
)
def test_a_share_that_is_not_clear_is_refused(environ, said):
    """One line says which variable, and what to give instead."""
    with pytest.raises(ScoreError, match=said) as caught:
        share_of("auto", environ)
    assert "\n" not in str(caught.value)


def test_shares_are_written_as_schedulers_take_them():
    """Neighbors become ranges; first and step are those of the array."""
    assert array_expression([2, 6, 7, 8]) == "3,7-9"
    assert array_expression([0, 1], first=10, step=10) == "10,20"
    assert array_expression([5, 5, 4], first=0) == "4-5"


def test_the_command_that_finishes_is_the_one_that_was_given():
    """Only the share changes, however it was typed."""
    assert with_units("vocscore score a -o b --units 3/16", "any") == (
        "vocscore score a -o b --units any"
    )
    assert with_units("vocscore score --units=auto a", "any") == "vocscore score --units=any a"
    assert with_units("vocscore score a", "any") == "vocscore score a --units any"
    assert with_units("vocscore score 'a --units b' --units 3/16", "any") == (
        "vocscore score 'a --units b' --units any"
    )
