"""Write piecewise linear activations with the two that neurons have: Relu and Clip from 0 to m."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2genn.frontend.context import Context
from onnx2genn.frontend.passes.node_by_node import rewrite_nodes
from onnx2genn.frontend.rewrite import Rewrite
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Constants, Graph, Node
from onnx2genn.ir.registry import entry_of

_CLAMPS = ("Relu", "Clip")


def lower_activations(graph: Graph, context: Context) -> Graph:
    """Write every piecewise linear activation with Relu, Clip(0, m) and affine operators.

    Args:
        graph: Canonical graph with shapes, functions fused.
        context: Not needed.
    """
    return rewrite_nodes(_merge_clamps(graph), _lowered).only_live()


def _lowered(rewrite: Rewrite, node: Node) -> str | None:
    lowered = entry_of(node).lowered
    if lowered is None:
        return None
    return lowered(rewrite, *(name or None for name in node.inputs), **node.attributes)


def _merge_clamps(graph: Graph) -> Graph:
    """Merge a clamp with the one before it where nothing else reads that one, as in ReLU6.

    clip(clip(x, a, b), c, d) = clip(x, clip(a, c, d), clip(b, c, d)).
    """
    producers, consumers = graph.producers, graph.consumers
    builder = Builder("clamp", graph.names)
    nodes: dict[str, Node] = {node.output: node for node in graph.nodes}
    for output, node in list(nodes.items()):
        before = producers.get(node.inputs[0]) if node.op in _CLAMPS else None
        if before is None or before.op not in _CLAMPS or before.output == graph.output:
            continue
        if len(consumers[before.output]) > 1:
            continue
        first = nodes.pop(before.output)
        constants = {**graph.constants, **builder.constants}
        low, high = _bounds(node, constants)
        names = [
            builder.store(np.float32(np.clip(bound, low, high)), f"{output}/{side}")
            for bound, side in zip(_bounds(first, constants), ("low", "high"), strict=True)
        ]
        nodes[output] = replace(node, op="Clip", inputs=(first.inputs[0], *names))
    return graph.rewritten(nodes.values(), builder.constants)


def _bounds(node: Node, constants: Constants) -> tuple[float, float]:
    """Return the bounds of a Relu or Clip, infinite where it has none."""
    if node.op == "Relu":
        return 0.0, np.inf
    names = [*node.inputs[1:], "", ""][:2]
    given = [float(constants[name]) if name else None for name in names]
    return (
        -np.inf if given[0] is None else given[0],
        np.inf if given[1] is None else given[1],
    )
