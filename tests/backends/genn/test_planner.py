"""How products of activations become groups of neurons."""

from __future__ import annotations

import pytest
from helpers import grid_networks
from helpers.onnx_models import model, node, normal

import onnx2genn
from onnx2genn.backends.genn.planner import make_plan
from onnx2genn.errors import BackendError


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
