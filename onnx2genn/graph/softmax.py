"""Softmax within the network, as in attention, by a maximum, exponentials and a product."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2genn.graph.model import Graph, Node
from onnx2genn.graph.operators.pooling import largest
from onnx2genn.graph.partition import strip_heads
from onnx2genn.graph.probe import probe
from onnx2genn.graph.rewrite import Rewrite, finish

_OPS = ("Softmax", "LogSoftmax")


def lower_softmax(graph: Graph) -> Graph:
    """Write every Softmax that is no head with operators that neurons have.

    With e = exp(x - max x), which is in 0..1 and 1 at least once, it is e / sum e.

    Args:
        graph: Canonical graph with shapes.
    """
    _, heads = strip_heads(graph)
    nodes: list[Node] = []
    constants = dict(graph.constants)
    for node in graph.nodes:
        if node.op not in _OPS or node.output in heads:
            nodes.append(node)
            continue
        rewrite = Rewrite(graph, node)
        written, _ = finish(rewrite, _softmax(rewrite, node))
        nodes += written
        constants |= rewrite.constants
    if len(nodes) == len(graph.nodes):
        return graph
    lowered = replace(graph, nodes=nodes, constants=constants)
    return replace(lowered, shapes=probe(lowered).shapes)


def _softmax(rewrite: Rewrite, node: Node) -> str:
    (x,), shape = node.inputs, list(rewrite.output_shape)
    axis = node.attributes["axis"] % (len(shape) + 1)
    kept = [*shape[: axis - 1], 1, *shape[axis:]]
    most = largest(rewrite, x, shape, [axis], kept)
    below = rewrite.emit("Add", x, rewrite.emit("Mul", most, np.float32(-1)))
    powers = rewrite.emit("Exp", below)
    total = rewrite.emit("ReduceSum", powers, np.array([axis], np.int64), keepdims=1)
    if node.op == "Softmax":
        return rewrite.emit("Mul", powers, rewrite.emit("Reciprocal", total))
    logarithm = rewrite.emit("Mul", rewrite.emit("Log", total), np.float32(-1))
    return rewrite.emit("Add", below, logarithm)
