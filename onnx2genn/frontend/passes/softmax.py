"""Softmax within the network, as in attention, by a maximum, exponentials and a logarithm."""

from __future__ import annotations

import numpy as np

from onnx2genn.frontend.context import Context
from onnx2genn.frontend.operators.pooling import largest
from onnx2genn.frontend.partition import strip_heads
from onnx2genn.frontend.passes.node_by_node import rewrite_nodes
from onnx2genn.frontend.rewrite import Refusal, Rewrite, problem
from onnx2genn.frontend.shapes import with_shapes
from onnx2genn.ir.graph import Graph, Node, Shape

_OPS = ("Softmax", "LogSoftmax")
_HIDING = -9e3  # what is added to scores that a mask hides is below
_LOSING = -5e8  # what leaves float32 no digit of the scores that it is added to


def lower_softmax(graph: Graph, context: Context) -> Graph:
    """Write every Softmax that is no head with operators that neurons have.

    With d = x - max x, which is at most 0, and 0 at least once, it is exp(d - log sum exp d).

    Args:
        graph: Canonical graph with shapes.
        context: Gets the problems of masks that hide a whole row.
    """
    _, heads = strip_heads(graph)

    def rule(rewrite: Rewrite, node: Node) -> str | None:
        if node.op not in _OPS or node.output in heads:
            return None
        try:
            return _softmax(graph, rewrite, node)
        except Refusal as refusal:
            context.problems.append(problem(graph, node, refusal.reason, refusal.advice))
            return None

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
    logarithms = rewrite.minus(below, rewrite.emit("Log", total))
    if node.op == "LogSoftmax":
        return logarithms
    shares = rewrite.emit("Exp", logarithms)
    return shares if weights is None else rewrite.emit("Mul", shares, weights)


def _unmasked(graph: Graph, rewrite: Rewrite, x: str, axis: int) -> tuple[str, np.ndarray | None]:
    """Take the mask away that is added to x, for neurons do not reach minus infinity.

    A number that is added to all elements along the axis does not matter, so the mask counts from
    its largest one on. Each element that it hides becomes a copy of one beside it that it does not
    hide, so that the maximum stays; its exponential has the weight 0. Where it hides all, so that
    float32 loses x, all that it hides no more than others become such copies.

    Returns:
        The tensor, and the weights, 0 and 1; the tensor itself and None if there is no mask.

    Raises:
        Refusal: It hides all elements along the axis, and float32 keeps some digits of x, or none.
    """
    shape = rewrite.output_shape
    producer = rewrite.producer(x)
    mask = _mask(graph, producer, shape)
    if producer is None or mask is None or rewrite.node.op != "Softmax":
        return x, None
    top = mask.max(axis=axis, keepdims=True)
    if ((top < _HIDING) & ((top > _LOSING) | np.isinf(top))).any():
        raise Refusal(
            f"a mask adds {top.min():.3g} to all elements that it normalises, which rounds them or "
            "makes them NaN.",
            "Hide no row as a whole.",
        )
    below = mask - top
    hidden = below < _HIDING
    copied = hidden | (top <= _LOSING)
    first = np.argmin(hidden, axis=axis, keepdims=True)  # the first that is not hidden
    own = np.arange(int(np.prod(shape))).reshape(1, *shape)
    index = np.where(copied, np.take_along_axis(own, first, axis=axis), own)
    data = next(name for name in producer.inputs if name not in graph.constants)
    flat = rewrite.emit("Add", data, np.where(copied, np.float32(0), below))
    flat = rewrite.emit("Reshape", flat, np.array([0, own.size], np.int64))
    flat = rewrite.emit("Gather", flat, index.reshape(-1), axis=1)
    found = rewrite.emit("Reshape", flat, np.array([0, *shape], np.int64))
    return found, np.where(hidden, np.float32(0), np.float32(1))


def _mask(graph: Graph, producer: Node | None, shape: Shape) -> np.ndarray | None:
    """Return an added constant that hides elements, [1, *shape]; None if there is none."""
    if producer is None or producer.op != "Add":
        return None
    masks = [graph.constants[name] for name in producer.inputs if name in graph.constants]
    if not masks or not (masks[0] < _HIDING).any():
        return None
    return np.broadcast_to(masks[0].astype(np.float32), (1, *shape))
