"""Open the batch axis of a model that was exported for one batch size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from onnx2genn.graph.model import Graph, Node
from onnx2genn.graph.probe import random_inputs, run_all


def free_batch(graph: Graph, batch: int, input_types: Mapping[str, int]) -> Graph:
    """Replace the batch size that exporters bake into the targets of Reshape and Expand.

    Args:
        graph: Graph in its own operators.
        batch: The batch size that it was exported for.
        input_types: ONNX element types of its inputs.

    Returns:
        The graph with open targets. Whatever else depends on the batch size shows when the graph
        is probed at other sizes.
    """
    values = run_all(graph, random_inputs(graph, batch, input_types), input_types)
    shapes = {name: value.shape for name, value in values.items() if hasattr(value, "shape")}
    shapes.update({name: (batch, *shape) for name, shape in graph.inputs.items()})
    constants = dict(graph.constants)
    nodes = []
    for node in graph.nodes:
        target = _open_target(node, batch, shapes, constants)
        if target is not None:
            name = f"{node.output}/open_shape"
            constants[name] = target
            node = replace(node, inputs=(node.inputs[0], name))
        nodes.append(node)
    freed = replace(graph, nodes=nodes, constants=constants)
    if batch > 1 or nodes != graph.nodes:
        freed.notes.append(f"The batch axis was fixed to {batch}; it is open now.")
    return freed


def _open_target(
    node: Node,
    batch: int,
    shapes: Mapping[str, tuple[int, ...]],
    constants: Mapping[str, np.ndarray],
) -> np.ndarray | None:
    if node.op not in ("Reshape", "Expand") or node.inputs[0] in constants:
        return None
    source, result = shapes[node.inputs[0]], shapes[node.output]
    if source[:1] != (batch,) or result[:1] != (batch,):
        return None
    leading = -1 if node.op == "Reshape" else 1
    return np.array([leading, *result[1:]], dtype=np.int64)
