"""Shapes of a canonical graph, inferred; only what onnx cannot infer is run."""

from __future__ import annotations

from dataclasses import replace

import onnx

from onnx2genn.frontend.probe import BATCHES, probe, try_out
from onnx2genn.ir.graph import Graph, Shape, to_onnx
from onnx2genn.ir.run import Runner

# A prime that no axis has, so that it is the batch wherever it is first.
_BATCH = 2**31 - 1
# Shapes, axes and pads: constants whose values other shapes depend on.
_MOST_ELEMENTS = 64


def with_shapes(graph: Graph) -> Graph:
    """Return a graph with the shapes of all its tensors, and of no others.

    Args:
        graph: Canonical graph; tensors whose shapes it has keep them.

    Raises:
        UnsupportedModelError: onnx cannot infer them, and onnxruntime cannot run the graph.
    """
    shapes = {**graph.shapes, **_inferred(graph)}
    if not graph.producers.keys() <= shapes.keys():
        runner = Runner.of(graph)
        shapes = probe(graph, *(try_out(graph, runner, batch) for batch in BATCHES)).shapes
    names = (name for name in (*graph.inputs, *graph.producers) if name in shapes)
    return replace(graph, shapes={name: shapes[name] for name in names})


def _inferred(graph: Graph) -> dict[str, Shape]:
    """Infer the shapes that a graph lacks, batch axis left out, where onnx can."""
    nodes = [node for node in graph.nodes if not graph.shapes.keys() >= set(node.outputs)]
    read = dict.fromkeys(name for node in nodes for name in node.inputs)
    constants = {name: graph.constants[name] for name in read if name in graph.constants}
    small = {name: item for name, item in constants.items() if item.size <= _MOST_ELEMENTS}
    model = to_onnx(
        nodes,
        small,
        {name: graph.shapes[name] for name in read if name in graph.shapes},
        {},
        opset=graph.opset,
        imports=graph.imports,
        batch=_BATCH,
        fed={name: item for name, item in constants.items() if name not in small},
    )
    found = onnx.shape_inference.infer_shapes(model).graph.value_info
    shapes = {info.name: _shape(info) for info in found}
    return {
        name: shape[1:]
        for name, shape in shapes.items()
        if shape[:1] == (_BATCH,) and 0 not in shape
    }


def _shape(info: onnx.ValueInfoProto) -> Shape:
    """Return a shape with the batch axis; an axis that is not known is 0."""
    return tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim)
