"""What an option refuses, and in which words."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from vocscore.config.evaluating import JudgedConfig, MetricsConfig
from vocscore.config.exporting import CheckConfig
from vocscore.config.model import ModelConfig
from vocscore.config.optimization import OptimizationConfig
from vocscore.config.option import options_of
from vocscore.config.packing import LabelsConfig
from vocscore.config.scoring import InferenceConfig, InputsConfig, OutputConfig
from vocscore.config.training import AugmentationConfig, LossConfig, RunConfig, TrainConfig
from vocscore.errors import OptionError


@pytest.mark.parametrize(
    ("group", "values", "message"),
    [
        (OptimizationConfig, {"epochs": 0}, "`epochs` is 0, but must be at least 1."),
        (OptimizationConfig, {"epochs": True}, "`epochs` is True, but must be a whole number."),
        (OptimizationConfig, {"epochs": 2.0}, "`epochs` is 2.0, but must be a whole number."),
        (OptimizationConfig, {"epochs": None}, "`epochs` is None, but must be a whole number."),
        (OptimizationConfig, {"learning_rate": 0}, "`learning_rate` is 0, but must be above 0."),
        (OptimizationConfig, {"ema": 1}, "`ema` is 1, but must be at least 0 and below 1."),
        (OptimizationConfig, {"standardize": 1}, "`standardize` is 1, but must be true or false."),
        (
            ModelConfig,
            {"size": 16385},
            "`size` is 16385, but must be at least 1 and at most 16384.",
        ),
        (ModelConfig, {"backbone": 18}, "`backbone` is 18, but must be text."),
        (LossConfig, {"margin": math.nan}, "`margin` is nan, but must be a finite number."),
        (LossConfig, {"loss": "mse"}, "`loss` is 'mse', but must be one of bce, asl."),
        (
            OutputConfig,
            {"format": "xml"},
            "`format` is 'xml', but must be one of csv, parquet, json",
        ),
        (
            InputsConfig,
            {"include": "*.jpg"},
            "`include` is '*.jpg', but must be a list of text val",
        ),
        (InputsConfig, {"include": ["a", 1]}, "`include` is 1, but must be text."),
        (
            LabelsConfig,
            {"rename": [("a", "b", "c")]},
            "`rename` is [('a', 'b', 'c')], but must be ",
        ),
        (LabelsConfig, {"labels": 3}, "`labels` is 3, but must be a path."),
    ],
)
def test_values_that_no_option_takes(
    group: type[Any], values: dict[str, Any], message: str
) -> None:
    """One line with the field, the value and what it has to be."""
    with pytest.raises(OptionError) as caught:
        group(**values)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: OptimizationConfig(epochs=3, warmup=3),
            "a warm-up of 3 epochs is not shorter than the training of 3. Use a smaller `warmup`",
        ),
        (
            lambda: TrainConfig(augmentation=AugmentationConfig(flip=0.5)),
            "`crop_scale`, `flip` and `jit",
        ),
        (lambda: RunConfig(resume=True, overwrite=True), "`resume` keeps what `overwrite` removes"),
        (
            lambda: OutputConfig(columns="labels", top_k=1),
            "`top_k`, `min_probability` and `decimals` ap",
        ),
        (
            lambda: OutputConfig(columns="labels", decimals=3),
            "`top_k`, `min_probability` and `decim",
        ),
        (
            lambda: InferenceConfig(device="cpu", devices=["0"]),
            "`device='cpu'` and `devices='0'`: both name",
        ),
        (
            lambda: LabelsConfig(labels="a", coco=["b"]),
            "`labels` and `coco`: two sources of labels",
        ),
        (lambda: LabelsConfig(coco=["b"], download="2007"), "`download` brings its own labels"),
        (
            lambda: CheckConfig(drawn=True, images="x"),
            "`shards`, `images` and `drawn`: give only one of them.",
        ),
    ],
)
def test_options_that_contradict_each_other(make: Any, message: str) -> None:
    """They are refused at the group's birth, whoever makes it."""
    with pytest.raises(OptionError) as caught:
        make()
    assert str(caught.value).startswith(message)


def test_a_value_with_braces_is_told_as_it_is() -> None:
    """What was given is not taken for a placeholder."""
    with pytest.raises(OptionError, match=r"^`loss` is '\{margin\}', but must be one of"):
        LossConfig(loss="{margin}")


def test_values_take_their_own_type() -> None:
    """A whole number becomes a float, text a path, a list a tuple; None stays where allowed."""
    assert repr(LossConfig(margin=0).margin) == "0.0"
    assert JudgedConfig(model="run").model == Path("run")
    assert InputsConfig(include=["a"]).include == ("a",)
    assert LabelsConfig(rename=[["a", "b"]]).rename == (("a", "b"),)
    assert MetricsConfig(threshold=None).threshold is None


def test_groups_do_not_change() -> None:
    """A group is a value: frozen, with keywords only."""
    with pytest.raises(FrozenInstanceError):
        LossConfig().margin = 1.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        LossConfig("bce")  # type: ignore[misc]


def test_what_is_declared_is_read_back() -> None:
    """Type, default, range and choices of an option come from its field alone."""
    found = {option.name: option for option in options_of(LabelsConfig)}
    assert (found["rename"].kind, found["rename"].many) == (str, 2)
    assert (found["coco"].kind, found["coco"].many, found["coco"].default) == (str, 1, ())
    assert (found["labels"].kind, found["labels"].optional) == (Path, True)
    assert found["download"].choices == ("2007", "2012")
    by_name = {option.name: option for option in options_of(OptimizationConfig)}
    assert by_name["momentum"].range_words() == "at least 0 and below 1"
