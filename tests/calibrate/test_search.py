"""The fewest steps that keep the ANN's answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import Example

import onnx2genn
from onnx2genn import CalibrationError, CodingError
from onnx2genn.backends.registry import predict
from onnx2genn.calibrate.encode import encode
from onnx2genn.calibrate.observe import observe
from onnx2genn.ir.run import session
from onnx2genn.spiking_network import SpikingNetwork


def lost(network: SpikingNetwork, x: np.ndarray) -> float:
    """Share of samples for which the spiking network chooses another class."""
    target = network.model.parts.readout.target
    (ann,) = session(network.model.to_onnx([target])).run([target], {network.input_name: x})
    return float(np.mean(predict(network, x, "onnxruntime").argmax(1) != ann.argmax(1)))


@pytest.mark.parametrize(("coding", "loss"), [("few-spike", 0.01), ("two-phase", 0.01)])
def test_one_step_fewer_would_lose_more(digits: Example, coding: str, loss: float) -> None:
    x = digits.x_train[:400]
    network = onnx2genn.convert(digits.model, x, coding, steps="auto", loss=loss)
    assert lost(network, x) <= loss
    shorter = replace(network.coding, steps=network.coding.steps - 1)
    assert lost(encode(observe(network.model, x), shorter), x) > loss


def test_uneven_spikes_count(digits: Example) -> None:
    """Rate coding is simulated, since its forecast would allow too few steps."""
    x = digits.x_train[:200]
    network = onnx2genn.convert(digits.model, x, "rate", steps="auto", loss=0.01)
    assert lost(network, x) <= 0.01
    assert network.coding.steps > 1


def test_no_window_is_long_enough(digits: Example) -> None:
    x = np.concatenate([digits.x_train[:100], np.zeros_like(digits.x_train[:100])])
    x[100:] = digits.x_train[:100] * -50  # far from what a threshold by percentile lets through
    with pytest.raises(CalibrationError, match="16 steps"):
        onnx2genn.convert(
            digits.model, x, steps="auto", loss=0.0, threshold="percentile", percentile=1.0
        )


def test_there_must_be_samples_and_a_share(digits: Example) -> None:
    with pytest.raises(CalibrationError, match="calibration samples"):
        onnx2genn.convert(digits.model, steps="auto")
    with pytest.raises(CodingError, match="loss"):
        onnx2genn.convert(digits.model, digits.x_train, steps="auto", loss=2.0)
