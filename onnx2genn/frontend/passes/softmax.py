"""Softmax within the network, as in attention, by a maximum, exponentials and a product."""

from __future__ import annotations

import numpy as np

from onnx2genn.frontend.context import Context
from onnx2genn.frontend.operators.pooling import largest
from onnx2genn.frontend.partition import strip_heads
from onnx2genn.frontend.passes.node_by_node import rewrite_nodes
from onnx2genn.frontend.rewrite import Rewrite
from onnx2genn.frontend.shapes import with_shapes
from onnx2genn.ir.graph import Graph, Node, Shape

_OPS = ("Softmax", "LogSoftmax")
_HIDING = -1e4  # what is added to scores that a mask hides is below


def lower_softmax(graph: Graph, context: Context) -> Graph:
    """Write every Softmax that is no head with operators that neurons have.

    With e = exp(x - max x), which is in 0..1 and 1 at least once, it is e / sum e.

    Args:
        graph: Canonical graph with shapes.
        context: Not needed.
    """
    _, heads = strip_heads(graph)

    def rule(rewrite: Rewrite, node: Node) -> str | None:
        inner = node.op in _OPS and node.output not in heads
        return _softmax(graph, rewrite, node) if inner else None

    lowered = rewrite_nodes(graph, rule)
    return graph if lowered is graph else with_shapes(lowered)


def _softmax(graph: Graph, rewrite: Rewrite, node: Node) -> str:
    (x,), shape = node.inputs, list(rewrite.output_shape)
    axis = node.attributes["axis"] % (len(shape) + 1)
    kept = [*shape[: axis - 1], 1, *shape[axis:]]
    x, weights = _unmasked(graph, rewrite, x, axis)
    most = largest(rewrite, x, shape, [axis], kept)
    below = rewrite.minus(x, most)
    powers = rewrite.emit("Exp", below)
    if weights is not None:
        powers = rewrite.emit("Mul", powers, weights)
    total = rewrite.emit("ReduceSum", powers, np.array([axis], np.int64), keepdims=1)
    if node.op == "Softmax":
        return rewrite.emit("Mul", powers, rewrite.emit("Reciprocal", total))
    return rewrite.minus(below, rewrite.emit("Log", total))


def _unmasked(graph: Graph, rewrite: Rewrite, x: str, axis: int) -> tuple[str, np.ndarray | None]:
    """Take the mask away that is added to x, for neurons do not reach minus infinity.

    Each element that it hides becomes a copy of one beside it that it does not hide, so that the
    maximum stays; its exponential has the weight 0.

    Returns:
        The tensor, and the weights, 0 and 1; the tensor itself and None if there is no mask.
    """
    shape = rewrite.output_shape
    producer = rewrite.producer(x)
    hidden = _hidden(graph, producer, shape)
    if producer is None or hidden is None or rewrite.node.op != "Softmax":
        return x, None
    if hidden.all(axis=axis).any():
        return x, None
    data, mask = sorted(producer.inputs, key=lambda name: name in graph.constants)
    bias = np.where(graph.constants[mask] < _HIDING, np.float32(0), graph.constants[mask])
    first = np.argmin(hidden, axis=axis, keepdims=True)  # the first that is not hidden
    own = np.arange(int(np.prod(shape))).reshape(1, *shape)
    index = np.where(hidden, np.take_along_axis(own, first, axis=axis), own)
    flat = rewrite.emit("Add", data, bias.astype(np.float32))
    flat = rewrite.emit("Reshape", flat, np.array([0, own.size], np.int64))
    flat = rewrite.emit("Gather", flat, index.reshape(-1), axis=1)
    found = rewrite.emit("Reshape", flat, np.array([0, *shape], np.int64))
    return found, np.where(hidden, np.float32(0), np.float32(1))


def _hidden(graph: Graph, producer: Node | None, shape: Shape) -> np.ndarray | None:
    """Tell which elements an added constant hides, [1, *shape]; None if none."""
    if producer is None or producer.op != "Add":
        return None
    masks = [graph.constants[name] for name in producer.inputs if name in graph.constants]
    if not masks or not (masks[0] < _HIDING).any():
        return None
    return np.broadcast_to(masks[0] < _HIDING, (1, *shape))
