"""Fuse what is together one function of one tensor into one node.

Exporters write Silu as ``x * Sigmoid(x)`` and Gelu as ``x * 0.5 * (1 + Erf(x / sqrt(2)))``. A
product of two tensors takes two populations (see products.py), a function of one tensor takes one:
its neuron collects x and sends g(x). So every product whose operands lead back to one tensor is
fused into one node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from onnx2genn.frontend.context import Context
from onnx2genn.ir.functions import (
    DOMAIN,
    FUSED,
    is_function,
    is_scalar,
    operands,
    way_to_root,
)
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.registry import entry_of


def fuse_functions(graph: Graph, context: Context) -> Graph:
    """Fuse products that are functions of one tensor, and functions of functions.

    Args:
        graph: Canonical graph with shapes.
        context: Not needed.
    """
    for product in list(graph.nodes):
        if product.op == "Where" or (
            product.op in ("Mul", "Div") and len(operands(graph, product)) > 1
        ):
            found = way_to_root(graph, product)
            if found is not None:
                graph = _with_function(graph, product, *found)
    for curve in list(graph.nodes):
        if is_function(curve):
            graph = absorb(graph, curve)
    return graph.only_live()


def _with_function(graph: Graph, node: Node, root: str, body: Sequence[Node]) -> Graph:
    """Replace a node by the function of a root that it is the last node of."""
    constants = [name for item in body for name in item.inputs if name in graph.constants]
    # Others may read what is within, too, so the function computes it under names of its own.
    scope = f"{node.output}/"
    inner = {name for item in body for name in item.outputs if not name.startswith(scope)}
    names = {name: scope + name for name in inner - {node.output}}
    parts = [part.renamed(names) for item in body for part in (item.body or (item,))]
    fused = Node(
        op=FUSED,
        domain=DOMAIN,
        inputs=(root, *dict.fromkeys(constants)),
        outputs=node.outputs,
        name=node.name,
        body=tuple(replace(part, name=part.output) for part in parts),
    )
    nodes = [fused if item.output == node.output else item for item in graph.nodes]
    return replace(graph, nodes=nodes).only_live()


def absorb(graph: Graph, curve: Node) -> Graph:
    """Fuse a function with the function whose values, scaled or shifted, only it reads.

    Args:
        graph: Canonical graph with shapes.
        curve: The function.
    """
    producers, consumers = graph.producers, graph.consumers
    body, name = [curve], curve.inputs[0]
    while name in producers and len(consumers[name]) == 1 and name != graph.output:
        node = producers[name]
        sources = operands(graph, node)
        if len(sources) != 1 or not (is_function(node) or is_scalar(graph, node)):
            return graph
        body.append(node)
        if is_function(node):
            return _with_function(graph, curve, node.inputs[0], body[::-1])
        if not entry_of(node).rescales:
            return graph
        name = sources[0]
    return graph
