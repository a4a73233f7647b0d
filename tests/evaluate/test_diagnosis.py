"""Networks that are broken on purpose, each named by its cause, at the place where it starts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import Example
from helpers.models import mlp
from onnx import numpy_helper

import onnx2genn
from onnx2genn import SpikingNetwork
from onnx2genn.evaluate.diagnosis import Diagnosis, diagnose

FIRST, SECOND = "sequential_1/conv2d_1/Relu", "sequential_1/conv2d_1_2/Relu"


@pytest.fixture(scope="module")
def network(digits: Example) -> SpikingNetwork:
    return onnx2genn.convert(digits.model, digits.x_train)


def found(network: SpikingNetwork, digits: Example, x: np.ndarray | None = None) -> list[Diagnosis]:
    x = digits.x_test[:200] if x is None else x
    return diagnose(network.evaluate(x, digits.y_test[: len(x)], backend="onnxruntime"))


def scaled(network: SpikingNetwork, factor: float, only: int | None = None) -> SpikingNetwork:
    """Give populations, or one of them, thresholds that are wrong by a factor."""
    factors = [factor if only in (None, i) else 1.0 for i in range(len(network.populations))]
    thresholds = {
        item.name: network.thresholds[item.name] * np.float32(factors[i])
        for i, item in enumerate(network.populations)
    }
    return replace(network, thresholds=thresholds)


@pytest.mark.parametrize("coding", ["few-spike", "two-phase", "rate", "signed", "graded"])
def test_nothing_is_wrong_with_a_good_network(digits: Example, coding: str) -> None:
    assert found(onnx2genn.convert(digits.model, digits.x_train, coding), digits) == []


@pytest.mark.parametrize(("only", "node"), [(None, FIRST), (1, SECOND)])
def test_thresholds_that_are_too_low(
    network: SpikingNetwork, digits: Example, only: int | None, node: str
) -> None:
    (one,) = found(scaled(network, 0.1, only), digits)
    assert (one.cause, one.node) == ("clipped", node)
    assert one.remedy == {"threshold": "max"}
    assert "--threshold max" in one.text


@pytest.mark.parametrize(("factor", "cause"), [(200, "thresholds"), (5000, "silent")])
def test_thresholds_that_are_too_high(
    network: SpikingNetwork, digits: Example, factor: float, cause: str
) -> None:
    (one,) = found(scaled(network, factor), digits)
    assert (one.cause, one.node) == (cause, FIRST)
    assert "too high" in one.text


@pytest.mark.parametrize(("coding", "steps"), [("few-spike", 1), ("two-phase", 2)])
def test_too_few_steps(digits: Example, coding: str, steps: int) -> None:
    (one,) = found(onnx2genn.convert(digits.model, digits.x_train, coding, steps=steps), digits)
    assert (one.cause, one.node) == ("levels", FIRST)
    assert one.remedy == {"steps": 2 * steps}


def test_samples_that_are_not_scaled(network: SpikingNetwork, digits: Example) -> None:
    (one,) = found(network, digits, digits.x_test[:200] * 16)
    assert (one.cause, one.node) == ("range", FIRST)
    assert "'input' differs, too: up to 16 here, 1 there" in one.text


def test_calibration_on_other_data(digits: Example) -> None:
    dark = onnx2genn.convert(digits.model, digits.x_train * 0.1)
    (one,) = found(dark, digits)
    assert (one.cause, one.node) == ("range", FIRST)
    assert "'input' differs, too: up to 1 here, 0.1 there" in one.text
    # Of the same range, but with next to nothing in the pictures.
    corner = digits.x_train.copy()
    corner[:, 1:] = 0
    (one,) = found(onnx2genn.convert(digits.model, corner), digits)
    assert one.cause == "range"
    assert "of the same kind" in one.text


def test_a_wrong_layout(network: SpikingNetwork, digits: Example) -> None:
    (one,) = found(network, digits, digits.x_test[:200].swapaxes(1, 2).copy())
    assert one.cause == "data"
    assert "its layout" in one.text


def test_a_dead_layer() -> None:
    x = np.random.default_rng(0).random((100, 6), dtype=np.float32)
    model = mlp()
    bias = next(item for item in model.graph.initializer if len(item.dims) == 1)
    dead = np.full(bias.dims, -1e3, np.float32)
    bias.CopyFrom(numpy_helper.from_array(dead, bias.name))
    network = onnx2genn.convert(model, x)
    first = diagnose(network.evaluate(x, backend="onnxruntime"))[0]
    assert (first.cause, first.node) == ("dead", network.populations[0].node.name)


@pytest.mark.parametrize(
    ("coding", "options", "remedy"),
    [
        ("rate", {"steps": 8, "lookahead": 0, "reset": "hard"}, {"reset": "soft"}),
        ("diehl", {"steps": 20}, {"input": "constant"}),
    ],
)
def test_uneven_arrival(
    digits: Example, coding: str, options: dict[str, Any], remedy: dict[str, Any]
) -> None:
    (one,) = found(onnx2genn.convert(digits.model, digits.x_train, coding, **options), digits)
    assert one.cause == "uneven"
    assert one.remedy == remedy


def test_without_calibration_that_is_the_remedy(digits: Example) -> None:
    guessed = onnx2genn.convert(digits.model, steps=3)
    one = found(guessed, digits)[0]
    assert "--calibrate" in one.text
