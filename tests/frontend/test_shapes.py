"""Shapes of a canonical graph are inferred; what onnx does not know is run."""

import numpy as np
import pytest
from helpers.onnx_models import normal

from onnx2genn.errors import UnsupportedModelError
from onnx2genn.frontend.shapes import with_shapes
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Graph, Node


def graph_of(*nodes, **constants):
    return Graph(
        inputs={"x": (5, 4)},
        output=nodes[-1].output,
        nodes=list(nodes),
        constants=constants,
        imports={"com.microsoft": 1},
    )


def test_shapes_are_inferred_behind_a_merged_batch():
    builder = Builder("g")
    rows = builder.emit("Reshape", "x", np.array([-1, 4]))
    product = builder.emit("MatMul", rows, normal(4, 2))
    builder.emit("Reshape", product, np.array([-1, 5, 2]), output="y")
    found = with_shapes(graph_of(*builder.nodes, **builder.constants))
    assert found.shapes == {"x": (5, 4), "y": (5, 2)}


def test_an_operator_that_onnx_does_not_know_is_run():
    fused = Node(
        op="FusedMatMul", domain="com.microsoft", inputs=("x", "w"), outputs=("a",), name="fused"
    )
    relu = Node(op="Relu", inputs=("a",), outputs=("y",), name="relu")
    found = with_shapes(graph_of(fused, relu, w=normal(4, 3)))
    assert found.shapes == {"x": (5, 4), "a": (5, 3), "y": (5, 3)}


def test_only_tensors_of_the_graph_keep_their_shapes():
    relu = Node(op="Relu", inputs=("x",), outputs=("y",), name="relu")
    graph = graph_of(relu)
    graph.shapes.update({"gone": (7,), "x": (5, 4)})
    assert with_shapes(graph).shapes == {"x": (5, 4), "y": (5, 4)}


def test_a_graph_that_cannot_run_is_refused():
    add = Node(op="Add", inputs=("x", "w"), outputs=("y",), name="add")
    with pytest.raises(UnsupportedModelError):
        with_shapes(graph_of(add, w=normal(3)))
