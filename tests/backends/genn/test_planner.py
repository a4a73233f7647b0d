"""How products of activations become groups of neurons."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import grid_networks
from helpers.onnx_models import model, node, normal

import onnx2genn
from onnx2genn.backends.genn.lowering.convolution import Convolution, sparse_matrix
from onnx2genn.backends.genn.lowering.projection import Dense, Linear
from onnx2genn.backends.genn.planner import make_plan
from onnx2genn.backends.registry import open_simulator
from onnx2genn.errors import BackendError
from onnx2genn.evaluate.operations import projections


def test_neurons_with_two_ports_have_a_projection_to_each() -> None:
    plan = make_plan(grid_networks.convert("gates", "few-spike", steps=6))
    product = plan.by_name["p2"]
    assert (product.operands, product.biases) == (2, ("bias_0", "bias_1"))
    assert sorted((item.source, item.port) for item in product.projections) == [
        ("p1", 1),
        ("r2", 0),
    ]


def test_a_neuron_for_each_product_of_two_matrices_sends_before_their_sum_begins() -> None:
    network = grid_networks.convert("mixing", "few-spike", steps=6)
    plan = make_plan(network)
    products, scores = plan.by_name["scores_products_"], plan.by_name["scores"]
    assert (products.size, scores.size) == (2 * 4 * 4 * 3, 2 * 4 * 4)
    assert products.start + plan.steps == scores.start
    assert products.results == ()
    assert [item.source for item in scores.projections] == [products.name]


def test_more_products_than_fit_into_memory_are_refused() -> None:
    nodes = [
        node("Transpose", "x", "k", perm=[0, 2, 1]),
        node("MatMul", "x k", "s", name="scores"),
        node("ReduceMean", "s", "y", axes=[2]),
    ]
    proto = model(nodes, {"x": ["N", 1024, 512]})
    network = onnx2genn.convert(proto, normal(1, 1024, 512))
    with pytest.raises(BackendError, match=r"products of scores would take.*onnxruntime"):
        make_plan(network)


def fan_out(linear: Linear) -> np.ndarray:
    """Count the weights of each source neuron that are not zero."""
    if isinstance(linear, Dense):
        return np.count_nonzero(linear.matrix, axis=1)
    convolves = isinstance(linear, Convolution)
    matrix = sparse_matrix(linear.in_planes()) if convolves else linear.matrix.copy()
    matrix.eliminate_zeros()
    return np.diff(matrix.indptr)


@pytest.mark.parametrize("relays", ["none", "auto", "all"])
@pytest.mark.parametrize("coding", ["few-spike", "rate"])
def test_operations_are_counted_at_the_synapses_of_the_plan(
    coding: str, relays: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of weights whose products do not happen to cancel."""
    on_grid = grid_networks.grid

    def off_grid(*shape: int, seed: int = 0) -> np.ndarray:
        values = on_grid(*shape, seed=seed)
        return values * np.random.default_rng(1).uniform(0.9, 1.1, shape).astype(np.float32)

    monkeypatch.setattr(grid_networks, "grid", off_grid)
    network = grid_networks.convert(grid_networks.TOGETHER, coding, steps=6)
    with open_simulator(network, "onnxruntime") as simulator:
        activity = simulator.run(grid_networks.samples(network, 1), record=True)
    assert activity.spikes is not None
    spikes = {item.tensor: activity.spikes[item.name][0] for item in network.populations}
    streams, plan = network.streams_with(relays), make_plan(network, relays)
    sent = {item.name: np.ones(item.size) for item in plan.neurons if item.hidden}
    sent |= {
        item.name: np.full(item.shape, 6.0).ravel()
        for item in streams.relays.values()
        if item.at_once
    }
    for item in network.populations:
        group = plan.by_name[item.name]
        sent[item.name] = spikes[item.tensor].ravel()[group.order]
    wanted = {
        item.name: sum(float(fan_out(way.linear) @ sent[way.source]) for way in item.projections)
        for item in plan.neurons
    }
    found = projections(network, streams, spikes)
    names = {found[-1].target: plan.readout.name}
    for item in found:
        name = names.get(item.target, item.target)
        assert item.sops == wanted[name] + wanted.get(f"{name}_products_", 0), name


def test_relays_make_the_synapses_fewer() -> None:
    network = grid_networks.convert("streams", "few-spike", steps=8)
    found = {
        relays: sum(
            int(fan_out(way.linear).sum())
            for item in make_plan(network, relays).neurons
            for way in item.projections
        )
        for relays in ("none", "auto")
    }
    assert found["auto"] < 0.7 * found["none"]
