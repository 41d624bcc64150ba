"""How many processes a cluster gets, and what each may use."""

from __future__ import annotations

import pytest

from vocscore.errors import OptionError
from vocscore.workers.shares import Node, Share, share_out

HEAD = Node(0)


@pytest.mark.parametrize(
    ("nodes", "asked", "share"),
    [
        ([Node(8), Node(8)], {}, Share(2, 8, 0.0)),
        ([HEAD, Node(8), Node(17)], {}, Share(3, 8, 0.0)),
        ([Node(8), Node(8)], {"processes": 4}, Share(4, 4, 0.0)),
        ([Node(8), Node(8)], {"processes": 3}, Share(3, 4, 0.0)),
        ([Node(8)], {"processes": 100}, Share(100, 1, 0.0)),
        ([Node(2)], {"cpus": 1}, Share(2, 1, 0.0)),
        ([Node(32, 4), Node(64, 8)], {}, Share(12, 8, 1.0)),
        ([Node(32, 4), Node(64)], {}, Share(4, 8, 1.0)),
        ([Node(32, 4), Node(64)], {"device": "cpu"}, Share(3, 32, 0.0)),
        ([Node(8, 1)], {"gpus": 0.5}, Share(2, 4, 0.5)),
        ([Node(8, 1)], {"gpus": 0}, Share(1, 8, 0.0)),
        ([HEAD], {"processes": 5, "cpus": 4}, Share(5, 4, 0.0)),
        ([HEAD], {"processes": 5, "cpus": 4, "device": "cuda"}, Share(5, 4, 1.0)),
    ],
)
def test_what_is_not_given_follows_from_the_machines(nodes, asked, share):
    """One process per GPU, or as many as have the cores of the smallest machine."""
    assert share_out(nodes, **asked) == share


@pytest.mark.parametrize(
    ("nodes", "asked", "line"),
    [
        ([HEAD], {}, "no machine of the cluster has room"),
        ([HEAD], {"processes": 3}, "no machine of the cluster has room"),
        ([Node(4)], {"device": "cuda"}, "no machine of the cluster has room"),
        ([Node(4, 1)], {"device": "cpu", "gpus": 1.0}, "`gpus_per_process=1` and `device='cpu'`"),
        ([Node(4, 1)], {"device": "cuda", "gpus": 0.0}, "`gpus_per_process=0` and `device='cuda'`"),
    ],
)
def test_what_cannot_be_is_one_line(nodes, asked, line):
    """An empty cluster cannot tell; a device and its number contradict each other."""
    with pytest.raises(OptionError, match=line):
        share_out(nodes, **asked)
