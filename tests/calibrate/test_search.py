"""The fewest steps that keep the ANN's answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import Example

import onnx2genn
from onnx2genn import CalibrationError, CodingError
from onnx2genn.backends.registry import predict
from onnx2genn.calibrate.encode import encode
from onnx2genn.calibrate.narrowing import _order, _Prospect
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


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (0.015, {}),
        (0.03, {"signed": True}),
        (0.12, {"coding": "two-phase", "bias_correction": False}),
    ],
)
def test_fewer_digits_lose_no_more_and_save(
    digits: Example, loss: float, options: dict[str, Any]
) -> None:
    x = digits.x_train[:400]
    allowed: dict[str, Any] = {"steps": "auto", "metric": "nrmse", "loss": loss}
    network = onnx2genn.convert(digits.model, x, **options, **allowed)
    whole = onnx2genn.convert(digits.model, x, **options, **allowed, digits={})
    assert network.digits and not whole.digits
    assert network.coding == whole.coding
    results = [item.evaluate(x, metric="nrmse", backend="onnxruntime") for item in (whole, network)]
    assert results[1].score.to_ann <= loss
    assert network.saving is not None
    spikes, operations = (
        [getattr(item, kind) for item in results]
        for kind in ("spikes_per_sample", "sops_per_sample")
    )
    np.testing.assert_allclose(network.saving.spikes, spikes, rtol=0.1)
    np.testing.assert_allclose(network.saving.operations, operations, rtol=0.1)
    assert operations[1] < 0.98 * operations[0]


def test_digits_that_cost_most_for_least_go_first() -> None:
    """Of populations alike, that goes first whose digits are worth less to the answer."""
    one, two = (
        _Prospect(group=(name,), choices=(4, 3, 2, 1), errors=errors, costs=(8, 6, 4, 2))
        for name, errors in (("a", (0, 1, 5, 21)), ("b", (0, 0.3, 1.5, 6.3)))
    )
    order = _order([one, two])
    assert order[:3] == [(("b",), 3), (("a",), 3), (("b",), 2)]
    assert [digits for group, digits in order if group == ("a",)] == [3, 2, 1]


def test_what_is_chosen_is_not_given(digits: Example) -> None:
    with pytest.raises(CodingError, match="chooses digits itself"):
        onnx2genn.convert(digits.model, digits.x_train, steps="auto", digits={"a": 2})


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
