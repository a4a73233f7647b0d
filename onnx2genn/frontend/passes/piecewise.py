"""Write piecewise linear activations with the two that neurons have: Relu and Clip from 0 to m."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from onnx2genn.frontend.context import Context
from onnx2genn.frontend.passes.node_by_node import rewrite_nodes
from onnx2genn.frontend.rewrite import Rewrite
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Constants, Graph, Node

_CLAMPS = ("Relu", "Clip")


def lower_activations(graph: Graph, context: Context) -> Graph:
    """Write every piecewise linear activation with Relu, Clip(0, m) and affine operators.

    Args:
        graph: Canonical graph with shapes, functions fused.
        context: Not needed.
    """
    return rewrite_nodes(_merge_clamps(graph), _lowered).only_live()


def _lowered(rewrite: Rewrite, node: Node) -> str | None:
    rule = _RULES.get(node.op)
    return None if rule is None or node.body else rule(rewrite, node)


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
        low, high = bounds(node, constants)
        names = [
            builder.store(np.float32(np.clip(bound, low, high)), f"{output}/{side}")
            for bound, side in zip(bounds(first, constants), ("low", "high"), strict=True)
        ]
        nodes[output] = replace(node, op="Clip", inputs=(first.inputs[0], *names))
    return graph.rewritten(nodes.values(), builder.constants)


def bounds(node: Node, constants: Constants) -> tuple[float, float]:
    """Return the bounds of a Relu or Clip, infinite where it has none."""
    if node.op == "Relu":
        return 0.0, np.inf
    names = [*node.inputs[1:], "", ""][:2]
    given = [float(constants[name]) if name else None for name in names]
    return (
        -np.inf if given[0] is None else given[0],
        np.inf if given[1] is None else given[1],
    )


def _clip(rewrite: Rewrite, node: Node) -> str:
    """Clip(x, lo, hi) = lo + Clip(x - lo, 0, hi - lo), and one-sided ones by Relu."""
    x = node.inputs[0]
    fixed = {name: rewrite.constant(name, "bound") for name in node.inputs[1:] if name}
    low, high = bounds(node, fixed)
    if np.isinf(high):
        return _above(rewrite, x, np.float32(low))
    if np.isinf(low):
        return _below(rewrite, x, np.float32(high))
    clipped = rewrite.emit("Clip", _plus(rewrite, x, -low), np.float32(0), np.float32(high - low))
    return _plus(rewrite, clipped, low)


def _plus(rewrite: Rewrite, x: str, shift: np.ndarray | float) -> str:
    return rewrite.emit("Add", x, np.asarray(shift, np.float32)) if np.any(shift) else x


def _above(rewrite: Rewrite, x: str, low: np.ndarray) -> str:
    """max(x, lo) = lo + relu(x - lo)."""
    return _plus(rewrite, rewrite.emit("Relu", _plus(rewrite, x, -low)), low)


def _below(rewrite: Rewrite, x: str, high: np.ndarray) -> str:
    """min(x, hi) = hi - relu(hi - x)."""
    rest = rewrite.emit("Relu", _plus(rewrite, _times(rewrite, x, -1), high))
    return _plus(rewrite, _times(rewrite, rest, -1), high)


def _times(rewrite: Rewrite, x: str, factor: np.ndarray | float) -> str:
    return rewrite.emit("Mul", x, np.asarray(factor, np.float32))


def _hard_sigmoid(rewrite: Rewrite, node: Node) -> str:
    scaled = _times(rewrite, node.inputs[0], node.attributes["alpha"])
    shifted = _plus(rewrite, scaled, node.attributes["beta"])
    return rewrite.emit("Clip", shifted, np.float32(0), np.float32(1))


def _leaky(rewrite: Rewrite, x: str, slope: np.ndarray | float) -> str:
    """x above 0, slope x below: relu(x) - slope relu(-x)."""
    positive = rewrite.emit("Relu", x)
    negative = rewrite.emit("Relu", _times(rewrite, x, -1))
    return rewrite.emit("Add", positive, _times(rewrite, negative, -slope))


def _leaky_relu(rewrite: Rewrite, node: Node) -> str:
    return _leaky(rewrite, node.inputs[0], node.attributes["alpha"])


def _p_relu(rewrite: Rewrite, node: Node) -> str:
    return _leaky(rewrite, node.inputs[0], rewrite.constant(node.inputs[1], "slope"))


def _abs(rewrite: Rewrite, node: Node) -> str:
    return _leaky(rewrite, node.inputs[0], -1.0)


def _max(rewrite: Rewrite, node: Node) -> str:
    """max(a, b) = a + relu(b - a)."""
    a, b = node.inputs
    if rewrite.is_constant(b):
        return _above(rewrite, a, rewrite.constant(b, "bound"))
    for x, scaled in ((a, b), (b, a)):
        slope = _slope(rewrite, x, scaled)
        if slope is not None and slope <= 1:
            return _leaky(rewrite, x, slope)
    difference = rewrite.emit("Add", b, _times(rewrite, a, -1))
    return rewrite.emit("Add", a, rewrite.emit("Relu", difference))


def _slope(rewrite: Rewrite, x: str, scaled: str) -> float | None:
    """Return s where ``scaled`` is s x: max(x, s x) is how some write LeakyRelu."""
    node = rewrite.producer(scaled)
    if node is None or node.op != "Mul" or node.inputs[0] != x:
        return None
    if not rewrite.is_constant(node.inputs[1]):
        return None
    factor = rewrite.constant(node.inputs[1], "factor")
    return float(factor.reshape(-1)[0]) if factor.size == 1 else None


def _min(rewrite: Rewrite, node: Node) -> str:
    """min(a, b) = a - relu(a - b)."""
    a, b = node.inputs
    if rewrite.is_constant(b):
        return _below(rewrite, a, rewrite.constant(b, "bound"))
    difference = rewrite.emit("Add", a, _times(rewrite, b, -1))
    return rewrite.emit("Add", a, _times(rewrite, rewrite.emit("Relu", difference), -1))


_RULES: dict[str, Callable[[Rewrite, Node], str]] = {
    "Abs": _abs,
    "Clip": _clip,
    "HardSigmoid": _hard_sigmoid,
    "LeakyRelu": _leaky_relu,
    "Max": _max,
    "Min": _min,
    "PRelu": _p_relu,
}
