"""Conversion and its thresholds."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from conftest import Example
from helpers.models import mlp
from helpers.onnx_models import model, node, normal

import onnx2genn
from onnx2genn import CodingError, DataError, UnsupportedModelError


def test_thresholds_by_maximum_are_the_largest_activations(digits: Example) -> None:
    network = onnx2genn.convert(digits.model, digits.x_train[:300], "rate", threshold="max")
    tensors = [item.tensor for item in network.populations]
    runner = onnxruntime.InferenceSession(
        network.model.to_onnx(tensors).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    values = runner.run(tensors, {network.input_name: digits.x_train[:300]})
    for item, value in zip(network.populations, values, strict=True):
        largest = np.moveaxis(value, 1, 0).reshape(value.shape[1], -1).max(axis=1)
        found = network.thresholds[item.name].ravel()
        assert np.allclose(found[largest > 0], largest[largest > 0], rtol=1e-6)
        assert np.allclose(found[largest <= 0], largest.max(), rtol=1e-6)


def test_one_threshold_for_each_population(digits: Example) -> None:
    network = onnx2genn.convert(digits.model, digits.x_train, "rate", per_channel=False)
    assert {item.shape for item in network.thresholds.values()} == {()}


@pytest.mark.parametrize("samples", [0, 40])
def test_the_look_ahead_grows_with_the_depth(samples: int) -> None:
    weights = {f"w{index}": normal(6, 6, seed=index) / 3 for index in range(13)}
    nodes = []
    for index in range(12):
        source = f"r{index}" if index else "x"
        nodes.append(node("MatMul", f"{source} w{index}", f"z{index}"))
        nodes.append(node("Relu", f"z{index}", f"r{index + 1}"))
    nodes.append(node("MatMul", "r12 w12", "y"))
    x = normal(samples, 6) if samples else None
    network = onnx2genn.convert(model(nodes, {"x": ["N", 6]}, weights), x, "rate")
    assert network.coding.options()["lookahead"] == 4
    assert network.latency == 12 * 5 + 32


def test_without_calibration_the_bound_holds(digits: Example) -> None:
    network = onnx2genn.convert(digits.model)
    calibrated = onnx2genn.convert(digits.model, digits.x_train, threshold="max")
    assert network.calibration_samples == 0
    for name, bound in network.thresholds.items():
        assert bound >= calibrated.thresholds[name].max()


def test_more_steps_come_closer_to_the_ann(digits: Example) -> None:
    x = digits.x_test[:100]
    exact = onnx2genn.convert(digits.model, digits.x_train, steps=16).predict(
        x, backend="onnxruntime"
    )
    errors = []
    for steps in (2, 4, 6, 8):
        network = onnx2genn.convert(digits.model, digits.x_train, steps=steps, threshold="max")
        logits = network.predict(x, backend="onnxruntime")
        errors.append(float(np.abs(logits - exact).mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.05 * errors[0]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"coding": "none"}, CodingError),
        ({"stepz": 3}, CodingError),
        ({"steps": 0}, CodingError),
        ({"steps": "many"}, CodingError),
        ({"per_channel": 3}, CodingError),
        ({"calibration": np.zeros((3, 7), np.float32)}, DataError),
        ({"calibration": np.zeros((0, 6), np.float32)}, DataError),
        ({"output": "none"}, UnsupportedModelError),
    ],
)
def test_wrong_arguments_are_explained(options: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        onnx2genn.convert(mlp(), **options)  # type: ignore[arg-type]
