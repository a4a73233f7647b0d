"""A coding's quantiser is what thresholds, forecast and simulation round by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import grid_networks
from helpers.models import mlp
from helpers.onnx_models import model, node, normal
from helpers.own_coding import Prompt, rounded

import onnx2genn
from onnx2genn.backends.embedded.layer import Layer
from onnx2genn.backends.registry import open_simulator
from onnx2genn.calibrate.statistics import Statistics
from onnx2genn.calibrate.thresholds import choose
from onnx2genn.coding import CODINGS, make, register
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.ir.run import Runner
from onnx2genn.ir.segment import Segment

ROUNDINGS = pytest.mark.parametrize("rounding", [0.0, 0.25, 0.75])


@ROUNDINGS
def test_thresholds_have_the_least_error_of_an_own_coding(rounding: float) -> None:
    coding = Prompt(rounding=rounding)
    values = np.random.default_rng(0).exponential(1.0, (50_000, 1))
    statistics = Statistics(channels=1)
    statistics.update(values)

    def error(threshold: float) -> float:
        step = threshold / 16
        errors = (rounded(coding, values, threshold) * step - values) ** 2
        return float(np.where(values > 7 * step, 2 * errors, errors).mean())

    found = float(choose(coding, statistics.settle(), "relu")[0])
    assert error(found) < 1.03 * min(error(threshold) for threshold in np.linspace(0.5, 20, 400))


@ROUNDINGS
def test_forecast_and_simulation_round_as_an_own_coding(rounding: float) -> None:
    """Layer by layer against the ANN's own weights, where float sums are exact."""
    coding = Prompt(rounding=rounding)
    network = grid_networks.convert("branches", coding)
    x = grid_networks.samples(network)
    with open_simulator(network, "onnxruntime") as simulator:
        activity = simulator.run(x, record=True)
    assert activity.codes is not None and activity.spikes is not None
    trains = {network.input_name: x[None]}
    sent = {network.input_name: x}
    for item in network.populations:
        trains[item.tensor] = Layer(network, item).fire(trains).copy()
        np.testing.assert_array_equal(trains[item.tensor][0], activity.codes[item.name])
        np.testing.assert_array_equal(activity.spikes[item.name], activity.codes[item.name])
        threshold = float(network.thresholds[item.name])
        if not item.pools:
            wanted = rounded(coding, run(item.segment, sent), threshold)
            np.testing.assert_array_equal(activity.codes[item.name], wanted)
            assert 0 < wanted.mean() < 7
        sent[item.tensor] = activity.codes[item.name] * np.float32(threshold / 16)
    wanted = run(network.model.parts.readout, sent)
    np.testing.assert_array_equal(activity.logits, wanted)
    assert activity.logits_by_step is not None
    np.testing.assert_array_equal(activity.logits_by_step[-1], wanted)
    np.testing.assert_array_equal(Forecast(network).logits(x), wanted)


def test_functions_are_rounded_as_well() -> None:
    coding = Prompt(rounding=0.25)
    nodes = [node("MatMul", "x w", "z"), node("Sigmoid", "z", "a"), node("MatMul", "a v", "y")]
    weights = {"w": normal(6, 40), "v": normal(40, 3)}
    x = normal(100, 6)
    network = onnx2genn.convert(model(nodes, {"x": ["N", 6]}, weights), x, coding)
    (population,) = network.populations
    threshold, offset = network.thresholds[population.name], network.offsets[population.name]
    wanted = rounded(coding, 1 / (1 + np.exp(-x @ weights["w"])) - offset, threshold)
    with open_simulator(network, "onnxruntime") as simulator:
        codes = simulator.run(x, record=True).codes
    assert codes is not None
    assert np.mean(codes[population.name] == wanted) > 0.999
    fired = Layer(network, population).fire({network.input_name: x[None]})[0]
    assert np.mean(fired == wanted) > 0.999
    logits = (wanted * threshold / 16 + offset) @ weights["v"]
    same = np.isclose(Forecast(network).logits(x), logits, atol=1e-4).all(axis=1)
    assert same.mean() > 0.9


def run(segment: Segment, sent: dict[str, np.ndarray]) -> np.ndarray:
    """Compute a segment in ANN units."""
    (result,) = Runner(segment.to_onnx())(sent).values()
    return result


@pytest.fixture
def registered() -> Iterator[None]:
    register(Prompt)
    yield
    del CODINGS[Prompt.name]


@pytest.mark.usefixtures("registered")
def test_a_registered_coding_is_known_by_name(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    network = onnx2genn.convert(mlp(), x, "prompt", steps=6, rounding=0.5)
    assert network.coding == Prompt(steps=6, rounding=0.5) == make("prompt", steps=6, rounding=0.5)
    network.save(tmp_path / "saved.onnx")
    loaded = onnx2genn.load(tmp_path / "saved.onnx")
    assert loaded.coding == network.coding
    wanted = network.predict(x, backend="onnxruntime")
    np.testing.assert_allclose(loaded.predict(x, backend="onnxruntime"), wanted, atol=1e-6)


@pytest.mark.parametrize("coding", ["few-spike", "two-phase", "first-spike", "rate"])
def test_what_a_neuron_is_told_is_what_arrays_are_told(coding: str) -> None:
    """The expression for compilers, evaluated as Python, against the arrays."""
    quantiser = make(coding, steps=4).quantiser
    names = {"fmin": min, "fmax": max, "floor": np.floor}
    steps = np.arange(-40, 200) / 8
    text = [eval(quantiser.expression("total"), {**names, "total": value}) for value in steps]
    np.testing.assert_array_equal(quantiser.code(steps), text)
