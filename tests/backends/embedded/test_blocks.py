"""Spikes in the layout of onnxruntime's convolutions against spikes in the plain one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.onnx_models import model, node

import onnx2genn
from onnx2genn.backends.base import Activity, Watch
from onnx2genn.backends.embedded import blocks, stepwise
from onnx2genn.backends.embedded.blocks import block_size, in_plain_order, models_in_blocks
from onnx2genn.backends.embedded.layer import incoming
from onnx2genn.backends.registry import open_simulator
from onnx2genn.ir.run import Runner
from onnx2genn.spiking_network import SpikingNetwork

CHANNELS = max(block_size(), 1)


def network_of(**options: Any) -> SpikingNetwork:
    """Convert convolutions with a pool, a residual sum, and channels that fill no block."""
    random = np.random.default_rng(0)
    sizes = {
        "w0": (CHANNELS, 3, 3, 3),
        "w1": (2 * CHANNELS, CHANNELS, 3, 3),
        "w2": (CHANNELS, 2 * CHANNELS, 3, 3),
        "w3": (CHANNELS, CHANNELS, 3, 3),
        "w4": (CHANNELS + 1, CHANNELS, 1, 1),
        "w5": (CHANNELS + 1, 5),
    }
    weights = {
        name: random.integers(-4, 5, size).astype(np.float32) / 16 for name, size in sizes.items()
    }
    nodes = [
        node("Conv", "x w0", "z0", pads=[1] * 4),
        node("Relu", "z0", "a0"),
        node("MaxPool", "a0", "p0", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", "p0 w1", "z1", pads=[1] * 4),
        node("Relu", "z1", "a1"),
        node("Conv", "a1 w2", "z2", pads=[1] * 4),
        node("Relu", "z2", "a2"),
        node("Conv", "a2 w3", "c3", pads=[1] * 4),
        node("Add", "c3 a2", "z3"),
        node("Relu", "z3", "a3"),
        node("AveragePool", "a3", "p3", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", "p3 w4", "z4"),
        node("Relu", "z4", "a4"),
        node("GlobalAveragePool", "a4", "p4"),
        node("Flatten", "p4", "f"),
        node("MatMul", "f w5", "y"),
    ]
    proto = model(nodes, {"x": ["N", 3, 8, 8]}, weights)
    return onnx2genn.convert(proto, samples(), "rate", steps=6, **options)


def samples() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 9, (5, 3, 8, 8)).astype(np.float32) / 8


def activity(network: SpikingNetwork) -> Activity:
    names = frozenset(item.name for item in network.populations)
    neurons = frozenset(item.name for item in network.populations if not item.pools)
    with open_simulator(network, "onnxruntime", threads=1) as simulator:
        return simulator.run(samples(), record=True, watch=Watch(spikes=names, potentials=neurons))


@pytest.mark.parametrize(
    "options", [{"lookahead": 0}, {"lookahead": 2}, {"bits": 2, "signed": True}]
)
def test_neurons_do_not_mind_the_layout(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = network_of(**options)
    found = activity(network)
    for module in (blocks, stepwise):
        monkeypatch.setattr(module, "block_size", lambda: 0)
    wanted = activity(network)
    np.testing.assert_array_equal(found.logits_by_step, wanted.logits_by_step)
    for kind in ("codes", "spikes", "trains", "potentials"):
        for name, array in getattr(wanted, kind).items():
            np.testing.assert_array_equal(getattr(found, kind)[name], array, f"{kind} {name}")
            assert array.any(), name


@pytest.mark.skipif(not block_size(), reason="onnxruntime has no blocks on this machine")
def test_what_all_readers_want_in_blocks_lies_so() -> None:
    network = network_of()
    parts = [(item.tensor, incoming(network, item)) for item in network.populations]
    models, blocked = models_in_blocks([*parts, (None, network.readout_in_units())])
    # A sum with factors reads one more and makes another; the last has channels for no block.
    assert blocked == {"a0", "p0", "a1"}
    found = {name: model for (name, _), model in zip(parts, models[:-1], strict=True)}
    assert all(found[name] is not None for name in blocked)
    x = samples()
    plain = Runner(parts[0][1].to_onnx())({"x": x})
    first = found["a0"]
    assert first is not None
    in_blocks = Runner(first, optimise=False)({"x": x})
    ((name, wanted),) = plain.items()
    np.testing.assert_array_equal(in_plain_order(in_blocks[name]), wanted)
    assert not np.array_equal(in_blocks[name], wanted)
