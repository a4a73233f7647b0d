"""Conversion, thresholds, saving and loading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import Example
from helpers.models import mlp

import onnx2genn
from onnx2genn import CodingError, DataError, UnsupportedModelError
from onnx2genn.network import write_atomically

CODINGS = [
    ("few-spike", {}),
    ("rate", {"steps": 16, "reset": "hard", "lookahead": 0}),
    ("diehl", {"steps": 20}),
]


@pytest.mark.parametrize(("coding", "options"), CODINGS)
def test_predictions_after_loading_are_identical(
    digits: Example, tmp_path: Path, coding: str, options: dict[str, object]
) -> None:
    network = onnx2genn.convert(digits.model, digits.x_train[:200], coding, **options)
    network.save(tmp_path / "snn.onnx")
    loaded = onnx2genn.load(tmp_path / "snn.onnx")
    assert loaded.coding == network.coding
    assert loaded.calibration_samples == 200
    wanted = network.predict(digits.x_test[:50], backend="onnxruntime")
    assert np.array_equal(loaded.predict(digits.x_test[:50], backend="onnxruntime"), wanted)


def test_a_saved_network_is_the_ann_for_onnxruntime(digits: Example, tmp_path: Path) -> None:
    path = tmp_path / "snn.onnx"
    onnx2genn.convert(digits.model, digits.x_train[:100]).save(path)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    saved, original = (
        onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        for file in (path, digits.model)
    )
    feeds = {original.get_inputs()[0].name: digits.x_test[:50]}
    assert np.allclose(saved.run(None, feeds)[0], original.run(None, feeds)[0], atol=1e-5)


def test_a_plain_model_is_no_saved_network(digits: Example) -> None:
    with pytest.raises(UnsupportedModelError, match="plain ONNX model"):
        onnx2genn.load(digits.model)


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(DataError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


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
