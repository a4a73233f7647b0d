"""Networks that are broken on purpose, each named by its cause, at the place where it starts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import Example
from helpers.models import mlp
from helpers.onnx_models import model, node
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
    proto = mlp()
    bias = next(item for item in proto.graph.initializer if len(item.dims) == 1)
    dead = np.full(bias.dims, -1e3, np.float32)
    bias.CopyFrom(numpy_helper.from_array(dead, bias.name))
    network = onnx2genn.convert(proto, x)
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


def difference(*, within: bool) -> tuple[onnx.ModelProto, np.ndarray]:
    """A network of differences of nearly equal activations, in a population or in the readout.

    What is a small error of the activations is a large one of the differences.
    """
    random = np.random.default_rng(0)
    pairs = random.uniform(0, 4, (200, 2, 1)) + random.normal(0, 0.1, (200, 2, 2))
    weights = {
        "w": np.eye(4, dtype=np.float32),
        "b": np.ones(4, np.float32),
        "d": np.array([[8, 0, -8], [-8, 0, 8], [0, 8, 0], [0, -8, 0]], np.float32),
        "v": np.eye(3, dtype=np.float32),
    }
    nodes = [node("Gemm", "x w b", "z"), node("Relu", "z", "a", name="same")]
    if within:
        nodes += [node("MatMul", "a d", "e"), node("Relu", "e", "f", name="apart")]
        nodes += [node("MatMul", "f v", "y")]
    else:
        nodes += [node("MatMul", "a d", "y")]
    return model(nodes, {"x": ["N", 4]}, weights), pairs.reshape(200, 4).astype(np.float32)


@pytest.mark.parametrize(
    ("coding", "steps", "within"),
    [
        ("few-spike", 5, True),
        ("few-spike", 5, False),
        ("two-phase", 16, True),
        ("rate", 16, False),
    ],
)
def test_rounding_that_adds_up(coding: str, steps: int, within: bool) -> None:
    proto, x = difference(within=within)
    broken = onnx2genn.convert(proto, x, coding, steps=steps).evaluate(x, backend="onnxruntime")
    (one,) = diagnose(broken)
    assert (one.cause, one.node) == ("accumulated", "apart" if within else "")
    assert one.text.startswith("ANN and SNN part" if within else "Every population follows")
    assert one.remedy == {"steps": 2 * steps}
    mended = onnx2genn.convert(proto, x, coding, **one.remedy)
    assert mended.evaluate(x, backend="onnxruntime").logits_error < broken.logits_error / 1.5


def test_clipping_that_shows_in_the_readout() -> None:
    proto, x = difference(within=False)
    broken = scaled(onnx2genn.convert(proto, x, steps=10), 0.8)
    (one,) = diagnose(broken.evaluate(x, backend="onnxruntime"))
    assert (one.cause, one.node) == ("clipped", "same")
    assert one.text.startswith("Every population follows")
    assert one.remedy == {"threshold": "max"}
    mended = onnx2genn.convert(proto, x, steps=10, **one.remedy)
    assert diagnose(mended.evaluate(x, backend="onnxruntime")) == []


def test_uneven_arrival_that_shows_in_the_readout() -> None:
    proto, x = difference(within=False)
    options: dict[str, Any] = {"steps": 400, "input": "poisson"}
    (one,) = diagnose(
        onnx2genn.convert(proto, x, **options, coding="rate").evaluate(
            x[:50], backend="onnxruntime"
        )
    )
    assert (one.cause, one.node) == ("uneven", "")
    assert one.text.startswith("Every population follows the ANN, but the logits part")
    mended = onnx2genn.convert(proto, x, "rate", **{**options, **one.remedy})
    assert diagnose(mended.evaluate(x[:50], backend="onnxruntime")) == []


def test_a_readout_that_fires_where_logits_are_negative() -> None:
    proto, x = difference(within=False)
    network = onnx2genn.convert(proto, x, "rate", steps=200, readout="spikes")
    (one,) = diagnose(network.evaluate(x, backend="onnxruntime"))
    assert (one.cause, one.remedy) == ("readout", {"readout": "membrane"})
    mended = onnx2genn.convert(proto, x, "rate", steps=200, **one.remedy)
    assert diagnose(mended.evaluate(x, backend="onnxruntime")) == []
