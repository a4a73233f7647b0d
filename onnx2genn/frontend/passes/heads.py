"""Heads at the very end, where they can be taken off."""

from __future__ import annotations

from dataclasses import replace

from onnx2genn.frontend.context import Context
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.registry import kind_of

_ELEMENTWISE = "Sigmoid"


def sink_heads(graph: Graph, context: Context) -> Graph:
    """Bring a Sigmoid behind the nodes after it that only move data.

    Args:
        graph: Canonical graph with shapes.
        context: Not needed.
    """
    chain: list[Node] = []
    name = graph.output
    while (node := graph.producers.get(name)) is not None and _moves(graph, node):
        chain.insert(0, node)
        name = node.inputs[0]
    if node is None or not chain or node.op != _ELEMENTWISE or len(graph.consumers[name]) > 1:
        return graph
    shapes, source, moved = dict(graph.shapes), node.inputs[0], []
    for item in chain:
        output = f"{item.output}/before_{node.op}"
        shapes[output] = shapes[item.output]
        moved.append(replace(item, inputs=(source, *item.inputs[1:]), outputs=(output,)))
        source = output
    head = replace(node, inputs=(source,), outputs=(graph.output,))
    left = [item for item in graph.nodes if item is not node and item not in chain]
    return replace(graph, nodes=[*left, *moved, head], shapes=shapes).only_live()


def _moves(graph: Graph, node: Node) -> bool:
    """Whether a node only moves the data of one tensor that nothing else reads."""
    data = [name for name in node.inputs if name and name not in graph.constants]
    alone = node.output == graph.output or len(graph.consumers[node.output]) == 1
    return kind_of(node) == "data movement" and len(data) == 1 and alone
