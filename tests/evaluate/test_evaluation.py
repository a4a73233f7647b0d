"""The numbers of an evaluation against numbers computed from predictions alone."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import Example
from helpers.models import mlp

import onnx2genn
from onnx2genn.evaluate.comparison import forecast_of
from onnx2genn.evaluate.errors_by_cause import MOST_SAMPLES
from onnx2genn.evaluate.forecast import Forecast


@pytest.mark.parametrize("coding", ["few-spike", "rate", "diehl"])
def test_the_numbers_are_those_of_the_predictions(digits: Example, coding: str) -> None:
    x, y = digits.x_test[:120], digits.y_test[:120]
    network = onnx2genn.convert(digits.model, digits.x_train, coding, steps=8)
    found = network.evaluate(x, y, backend="onnxruntime", batch_size=50)
    chosen = network.predict(x, backend="onnxruntime", batch_size=50).argmax(axis=1)
    assert found.snn_accuracy == np.mean(chosen == y)
    assert found.samples == 120
    assert found.accuracy_by_step is not None
    assert found.accuracy_by_step[-1] == found.snn_accuracy
    assert found.agreement_by_step[-1] == found.agreement
    total = sum(item.spikes for item in found.populations)
    assert found.spikes_per_sample == pytest.approx(total / 120)
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_forecast_of_an_accumulating_coding_comes_true(digits: Example) -> None:
    for steps in (2, 3, 8):
        network = onnx2genn.convert(digits.model, digits.x_train, steps=steps)
        found = network.evaluate(digits.x_test, digits.y_test, backend="onnxruntime")
        assert found.forecast_accuracy == found.snn_accuracy


def test_what_was_simulated_is_the_forecast_beyond_the_first_samples(
    digits: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded engine computes what accumulates first just as the forecast does."""
    asked = []
    logits = Forecast.logits

    def counted(self: Forecast, x: np.ndarray) -> np.ndarray:
        asked.append(len(x))
        return logits(self, x)

    monkeypatch.setattr(Forecast, "logits", counted)
    network = onnx2genn.convert(digits.model, digits.x_train[:60], steps=4)
    x, y = np.tile(digits.x_test, (2, 1, 1, 1)), np.tile(digits.y_test, 2)
    found = network.evaluate(x, y, backend="onnxruntime", batch_size=100)
    assert sum(asked) == forecast_of(network) < MOST_SAMPLES < len(x)
    assert found.forecast_accuracy == found.snn_accuracy
    asked.clear()
    rate = onnx2genn.convert(digits.model, digits.x_train[:60], "rate", steps=4)
    rate.evaluate(x, y, backend="onnxruntime", batch_size=100)
    assert sum(asked) == len(x)


@pytest.mark.parametrize("coding", ["few-spike", "rate"])
def test_layers_are_compared_on_the_first_samples_only(
    digits: Example, coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = digits.x_test[:40], digits.y_test[:40]
    network = onnx2genn.convert(digits.model, digits.x_train, coding, steps=4)
    options = {"backend": "onnxruntime", "batch_size": 16}
    whole, first = network.evaluate(x, y, **options), network.evaluate(x[:24], y[:24], **options)
    monkeypatch.setattr("onnx2genn.evaluate.errors_by_cause._MOST_VALUES", 24 * network.neurons)
    found = network.evaluate(x, y, **options)
    assert (found.ann_accuracy, found.snn_accuracy) == (whole.ann_accuracy, whole.snn_accuracy)
    assert found.forecast_accuracy == whole.forecast_accuracy
    for mine, early, all_ in zip(
        found.populations, first.populations, whole.populations, strict=True
    ):
        drawn = mine.deviation.response
        assert drawn is not None and sum(drawn.counts) == 24 // 4 * mine.neurons
        assert replace(mine.deviation, response=early.deviation.response) == early.deviation
        assert mine.correlation == early.correlation
        assert mine.correlation != all_.correlation
        assert (mine.spikes, mine.saturated) == (all_.spikes, all_.saturated)


def test_without_labels_there_is_an_agreement_only(digits: Example) -> None:
    network = onnx2genn.convert(digits.model, digits.x_train)
    found = network.evaluate(digits.x_test[:20], backend="onnxruntime")
    assert found.ann_accuracy is None
    assert found.accuracy_by_step is None
    assert found.agreement >= 0.95


@pytest.mark.parametrize("labelled", [True, False])
def test_samples_that_are_answered_differently_are_listed(digits: Example, labelled: bool) -> None:
    x, y = digits.x_test[:200], digits.y_test[:200]
    network = onnx2genn.convert(digits.model, digits.x_train, steps=1)
    found = network.evaluate(x, y if labelled else None, backend="onnxruntime", batch_size=70)
    ann = network.model.runner([network.model.parts.readout.target])({network.input_name: x})
    (logits,) = ann.values()
    chosen = network.predict(x, backend="onnxruntime", batch_size=70).argmax(axis=1)
    places = np.flatnonzero(logits.argmax(axis=1) != chosen)
    assert 0 < len(places) <= 100
    assert [item.sample for item in found.differences] == places.tolist()
    for item in found.differences:
        assert item.label == (y[item.sample] if labelled else None)
        assert (item.ann, item.snn) == (logits[item.sample].argmax(), chosen[item.sample])
        margin = logits[item.sample, item.ann] - logits[item.sample, item.snn]
        assert item.margin == pytest.approx(float(margin))
        assert item.margin > 0
    json.dumps(found.to_dict(), allow_nan=False)


def test_layers_follow_the_ann(digits: Example) -> None:
    network = onnx2genn.convert(digits.model, digits.x_train)
    found = network.evaluate(digits.x_test[:100], digits.y_test[:100], backend="onnxruntime")
    for item in found.populations:
        assert item.correlation is not None
        assert item.correlation > 0.999
    assert found.logits_error < 0.02


def test_a_single_logit_decides_at_zero() -> None:
    x = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    network = onnx2genn.convert(mlp(sizes=(6, 8, 1)), x)
    y = (network.predict(x, backend="onnxruntime")[:, 0] > 0).astype(int)
    assert network.evaluate(x, y, backend="onnxruntime").snn_accuracy == 1.0


def test_what_is_no_number_is_null_in_json(digits: Example) -> None:
    network = onnx2genn.convert(digits.model)
    found = network.evaluate(digits.x_test[:4], backend="onnxruntime")
    broken = replace(found, samples_per_second=float("nan"), sops_per_sample=float("inf"))
    record = json.loads(json.dumps(broken.to_dict(), allow_nan=False))
    assert (record["samples_per_second"], record["sops_per_sample"]) == (None, None)
    assert record["populations"] == json.loads(json.dumps(found.to_dict()))["populations"]
