"""What was decoded by activation, and which class became which."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Example

import onnx2genn
from onnx2genn.evaluate.response import Responses


def test_bins_hold_what_belongs_there() -> None:
    random = np.random.default_rng(0)
    above = random.random((50, 4)).astype(np.float32) * 2
    responses = Responses()
    responses.add(above[:20], above[:20] / 2, 3.0)
    responses.add(above[20:], above[20:] / 2, 3.0)
    found = responses.result(3.0)
    assert found.end == 3.0
    assert sum(found.counts) == above.size
    edges = np.linspace(0, 3, len(found.counts) + 1)
    wanted, _ = np.histogram(above, edges)
    np.testing.assert_array_equal(found.counts, wanted)
    for index, value in enumerate(found.decoded):
        inside = above[(above >= edges[index]) & (above < edges[index + 1])]
        assert value == pytest.approx(inside.mean() / 2) if len(inside) else value is None


def test_larger_values_count_in_the_last_bin() -> None:
    responses = Responses()
    responses.add(np.full(3, 0.5, np.float32), np.ones(3), 1.0)
    responses.add(np.full(2, 9, np.float32), np.ones(2), 1.0)
    assert responses.result(1.0).counts[-1] == 2


def test_classes_that_became_others_are_counted(digits: Example) -> None:
    x = digits.x_test[:200]
    network = onnx2genn.convert(digits.model, digits.x_train, steps=1)
    found = network.evaluate(x, backend="onnxruntime", batch_size=70)
    (target,) = (network.model.parts.readout.target,)
    ann = network.model.runner([target])({network.input_name: x})[target].argmax(axis=1)
    snn = network.predict(x, backend="onnxruntime").argmax(axis=1)
    wanted: dict[tuple[int, int], int] = {}
    for pair in zip(ann.tolist(), snn.tolist(), strict=True):
        if pair[0] != pair[1]:
            wanted[pair] = wanted.get(pair, 0) + 1
    assert {(a, b): count for a, b, count in found.confusion} == wanted
    counts = [count for *_, count in found.confusion]
    assert counts == sorted(counts, reverse=True)
