"""Calibration by spikes: means after bias correction, largest currents of SpikeNorm."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from conftest import Example
from helpers.onnx_models import model, node, normal

import onnx2genn
from onnx2genn.calibrate.by_spikes import correct_biases
from onnx2genn.ir.run import session
from onnx2genn.ir.segment import Segment
from onnx2genn.spiking_network import SpikingNetwork


def up_to(network: SpikingNetwork, segment: Segment) -> SpikingNetwork:
    """Cut a network so that its readout is one of its segments: the mean input of a population."""
    needed, kept = set(segment.sources), []
    for item in reversed(network.populations):
        if item.tensor in needed:
            kept.append(item)
            needed.update(item.segment.sources)
    parts = dataclasses.replace(
        network.model.parts, populations=tuple(kept[::-1]), readout=segment, depth=len(kept)
    )
    return dataclasses.replace(network, model=dataclasses.replace(network.model, parts=parts))


def mean_inputs(network: SpikingNetwork, x: np.ndarray) -> dict[str, np.ndarray]:
    """Mean input of each channel of each population and of the readout, from spikes."""
    segments = [item.segment for item in network.populations]
    segments.append(network.model.parts.readout)
    return {
        item.target: per_channel(up_to(network, item).predict(x, backend="onnxruntime"))
        for item in segments
    }


def per_channel(values: np.ndarray) -> np.ndarray:
    return values.mean(axis=(0, *range(2, values.ndim)), dtype=np.float64)


def ann_means(network: SpikingNetwork, names: list[str], x: np.ndarray) -> list[np.ndarray]:
    values = session(network.model.to_onnx(names)).run(names, {network.input_name: x})
    return [per_channel(value) for value in values]


@pytest.mark.parametrize(
    ("coding", "options"),
    [("few-spike", {"steps": 2}), ("two-phase", {"steps": 4}), ("rate", {"steps": 4})],
)
def test_corrected_inputs_have_the_mean_of_the_ann(
    digits: Example, coding: str, options: dict[str, int]
) -> None:
    x = digits.x_train[:200]
    plain = onnx2genn.convert(digits.model, x, coding, bias_correction=False, **options)
    network = SpikingNetwork.of(correct_biases(plain, x))
    without = dataclasses.replace(network, corrections={})
    corrected, biased = mean_inputs(network, x), mean_inputs(without, x)
    wanted = ann_means(network, list(corrected), x)
    for (name, mean), ann in zip(corrected.items(), wanted, strict=True):
        assert np.allclose(mean, ann, atol=1e-3 * np.abs(ann).max()), name
    errors = [np.abs(b - a).max() for b, a in zip(biased.values(), wanted, strict=True)]
    assert max(errors) > 0.05


def test_corrections_are_saved(digits: Example, tmp_path: Path) -> None:
    x = digits.x_train[:200]
    plain = onnx2genn.convert(digits.model, x, "two-phase", steps=4, bias_correction=False)
    network = SpikingNetwork.of(correct_biases(plain, x))
    network.save(tmp_path / "snn.onnx")
    loaded = onnx2genn.load(tmp_path / "snn.onnx")
    assert loaded.corrections.keys() == network.corrections.keys()
    assert all(np.array_equal(loaded.corrections[k], v) for k, v in network.corrections.items())
    without = dataclasses.replace(network, corrections={})
    found, wanted, other = (
        item.predict(digits.x_test[:50], backend="onnxruntime")
        for item in (loaded, network, without)
    )
    assert np.array_equal(found, wanted)
    assert not np.allclose(found, other)


def test_correction_makes_up_for_rounding_down(digits: Example) -> None:
    errors = {}
    for corrected in (False, True):
        network = onnx2genn.convert(
            digits.model, digits.x_train, "rate", steps=8, initial=0.0, bias_correction=corrected
        )
        target = network.model.parts.readout.target
        feeds = {network.input_name: digits.x_test}
        (ann,) = session(network.model.to_onnx([target])).run([target], feeds)
        found = network.predict(digits.x_test, backend="onnxruntime")
        errors[corrected] = np.sqrt(np.mean((found - ann) ** 2))
    assert errors[True] < 0.8 * errors[False]


@pytest.mark.parametrize("per_channel", [False, True])
def test_spike_norm_takes_the_largest_current(digits: Example, per_channel: bool) -> None:
    """The currents are added up here from the spikes, one step and one layer at a time."""
    x = digits.x_train[:20]
    network = onnx2genn.convert(
        digits.model,
        x,
        "rate",
        steps=6,
        threshold="spike-norm",
        per_channel=per_channel,
        bias_correction=False,
        lookahead=0,
    )
    values = {network.input_name: np.broadcast_to(x, (6, *x.shape))}
    for item in network.populations:
        runner = session(item.segment.to_onnx())
        potential, train = np.float32(0.5) * network.thresholds[item.name], []
        currents = []
        for step in range(6):
            feeds = {name: values[name][step] for name in item.segment.sources}
            currents.append(runner.run(None, feeds)[0])
            potential = potential + currents[-1]
            fired = potential >= network.thresholds[item.name]
            potential = potential - fired * network.thresholds[item.name]
            train.append(fired * network.thresholds[item.name])
        values[item.tensor] = np.array(train, np.float32)
        largest = np.stack(currents)
        axes = (0, 1, *range(3, largest.ndim)) if per_channel else None
        largest = np.maximum(largest.max(axis=axes), 0)
        largest = np.where(largest > 0, largest, largest.max())
        assert np.allclose(network.thresholds[item.name].squeeze(), largest, rtol=1e-3)


def test_products_are_not_corrected() -> None:
    """Each of their ports is a sum of its own, where simulators add no correction of both."""
    nodes = [
        node("MatMul", "x w", "a"),
        node("Relu", "a", "r"),
        node("Mul", "r x", "m"),
        node("Transpose", "r", "t", perm=[0, 2, 1]),
        node("MatMul", "m t", "y"),
    ]
    x = normal(40, 3, 4)
    proto = model(nodes, {"x": ["N", 3, 4]}, {"w": normal(4, 4)})
    plain = onnx2genn.convert(proto, x, "rate", steps=8, bias_correction=False)
    network = correct_biases(plain, x)
    several = [item.segment.target for item in network.populations if item.ports > 1]
    assert len(several) == 2
    assert not network.corrections.keys() & set(several)
