"""Configs are built from plain values by the names of their options, and give them back."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from typing import Any

import pytest

from vocscore.config.compute import ComputeConfig
from vocscore.config.demo import DemoConfig
from vocscore.config.evaluating import EvalConfig
from vocscore.config.exporting import ExportConfig, QuantizeConfig
from vocscore.config.groups import build, declared, flat, groups_of, names_of, refuse_unknown
from vocscore.config.importing import ImportConfig
from vocscore.config.optimization import OptimizationConfig
from vocscore.config.packing import PackConfig
from vocscore.config.scoring import ScoreConfig
from vocscore.config.training import RunConfig, TrainConfig
from vocscore.config.verifying import VerifyConfig
from vocscore.errors import OptionError

CONFIGS = (
    PackConfig,
    TrainConfig,
    ScoreConfig,
    EvalConfig,
    QuantizeConfig,
    ExportConfig,
    VerifyConfig,
    DemoConfig,
    ImportConfig,
)
"""Of each command."""


@pytest.mark.parametrize("config", CONFIGS)
def test_every_field_is_an_option(config: type[Any]) -> None:
    """There is none without help, and none of a command has the name of another one's."""
    groups = [config] if config is DemoConfig else list(groups_of(config).values())
    options = declared(config)
    assert [o.name for o in options] == [f.name for group in groups for f in fields(group)]
    assert all(option.help.endswith((".", ")")) for option in options)
    assert not [name for name, n in Counter(o.name for o in options).items() if n > 1]


@pytest.mark.parametrize("config", CONFIGS)
def test_defaults_are_valid_and_explained(config: type[Any]) -> None:
    """Every default passes the checks; where it is None, the option says what that means."""
    assert flat(build(config, {})) == {option.name: option.default for option in declared(config)}
    for option in declared(config):
        quiet = option.name in ("quarantine", "download", "labels", "images")  # nothing is done
        assert option.default is not None or option.unset or quiet, option.name


@pytest.mark.parametrize("config", CONFIGS)
def test_what_is_meant_without_a_value_is_shown_as_it_stands(config: type[Any]) -> None:
    """Only `help` may name other options as templates."""
    assert not [one.name for one in declared(config) if "{" in (one.unset or "")]


def test_names_of_one_command_never_collide() -> None:
    """The settings of a training, its machine and its folder have names of their own."""
    names = [option.name for option in declared(TrainConfig, ComputeConfig, RunConfig)]
    assert len(names) == len(set(names))


def test_built_from_names_and_back() -> None:
    """Each value reaches its group; those of other groups are passed over."""
    config = build(TrainConfig, {"epochs": 3, "optimizer": "adamw", "size": 64, "device": "cpu"})
    assert config.optimization == OptimizationConfig(epochs=3, optimizer="adamw")
    assert config.model.size == 64
    assert build(TrainConfig, flat(config)) == config
    assert names_of(ComputeConfig) == {"device", "image_memory", "loader", "workers"}


def test_an_unknown_name_has_a_nearest_one() -> None:
    """One line, with the name that was meant."""
    refuse_unknown(["epochs", "device"], TrainConfig, ComputeConfig)
    with pytest.raises(OptionError, match=r"called 'optimiser'\. Did you mean 'optimizer'\?"):
        refuse_unknown(["epochs", "optimiser"], TrainConfig)


def test_a_name_like_no_other_has_no_suggestion() -> None:
    """The line ends there, or with the cure that the caller has; other names count as known."""
    with pytest.raises(OptionError, match=r"^no option is called 'bogus'\.$"):
        refuse_unknown(["bogus"], TrainConfig)
    with pytest.raises(OptionError, match=r"^no option is called 'bogus'\. Ask\.$"):
        refuse_unknown(["bogus"], TrainConfig, cure="Ask.")
    refuse_unknown(["progress"], TrainConfig, others=["progress"])
    with pytest.raises(OptionError, match=r"Did you mean 'progress'\?$"):
        refuse_unknown(["progres"], TrainConfig, others=["progress"], cure="Ask.")
