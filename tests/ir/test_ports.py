"""Functions of several sums read these without a stack, where shapes are known."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from helpers.onnx_models import model as proto
from helpers.onnx_models import node, normal

from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.graph import to_onnx
from onnx2genn.ir.model import Model
from onnx2genn.ir.ports import without_stacks
from onnx2genn.ir.run import Runner


@pytest.fixture
def gate() -> Model:
    """A map times a gate for each of its channels: squeeze and excitation."""
    nodes = [
        node("Conv", "x w", "map"),
        node("GlobalAveragePool", "map", "mean"),
        node("Conv", "mean v", "z"),
        node("Sigmoid", "z", "gate"),
        node("Mul", "gate map", "y"),
    ]
    weights = {"w": normal(4, 3, 1, 1), "v": normal(4, 4, 1, 1)}
    return read(proto(nodes, {"x": ["N", 3, 5, 6]}, weights))


def stacked(model: Model, wanted: list[str]) -> dict[str, np.ndarray]:
    graph = model.graph
    names = dict.fromkeys(wanted)
    x = {"x": normal(7, 3, 5, 6)}
    return Runner(to_onnx(graph.nodes, graph.constants, graph.inputs, names))(x)


def test_neither_stack_nor_repetition_is_left(gate: Model) -> None:
    found = gate.to_onnx()
    operators = Counter(item.op_type for item in found.graph.node)
    assert not {"Concat", "Gather", "Expand"} & operators.keys()
    (name,) = gate.graph.outputs
    values = Runner(found)({"x": normal(7, 3, 5, 6)})[name]
    np.testing.assert_array_equal(values, stacked(gate, [name])[name])


def test_a_stack_that_is_wanted_is_computed(gate: Model) -> None:
    (stack,) = (item for item in gate.graph.nodes if item.op == "Concat")
    found = Runner(gate.to_onnx([stack.output]))({"x": normal(7, 3, 5, 6)})
    np.testing.assert_array_equal(found[stack.output], stacked(gate, [stack.output])[stack.output])


def test_without_shapes_all_stays(gate: Model) -> None:
    graph = gate.graph
    nodes = without_stacks(graph.nodes, graph.constants, {}, graph.outputs)
    assert {"Concat", "Gather", "Expand"} <= {item.op for item in nodes}
