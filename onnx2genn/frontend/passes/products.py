"""Products of two tensors, as gates make them, by neurons that square: quarter-square products.

A neuron sums, so it cannot multiply what two sources send. But a square is a function of one sum,
which a neuron can send, and the difference of two squares is a product::

    a b = (u + v)^2 - (u - v)^2 + b0 a + a0 b - a0 b0,    u = r (a - a0) / 2,  v = (b - b0) / (2 r)

Two populations send the squares; all else is affine. The centres a0 and b0 and the ratio r are
those of the operands' ranges in each channel: the squares then reach no further than the product
of both half ranges, so their rounding errors are about as small as those of neurons which would
send the product itself.

An operand that is a sum over many neurons, as a query or a residual stream, is sent by relays,
neurons of its own: else each square, and all behind it, had a synapse from each of the many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from onnx2genn.errors import Problem
from onnx2genn.frontend.context import Context
from onnx2genn.frontend.passes.node_by_node import rewrite_nodes
from onnx2genn.frontend.probe import random_inputs
from onnx2genn.frontend.rewrite import Rewrite, problem
from onnx2genn.ir.functions import identity, square
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.registry import entry_of, kind_of
from onnx2genn.ir.run import Runner, samples_at_once

_BATCH = 32
_RANDOM = 8
_WIDE = 3
_MOST_NEURONS = 2**26
_SQUARES = 2
# Half width of the narrowest channel, in those of the widest: few random samples show little.
_NARROWEST, _NARROWEST_RANDOM = 1e-3, 0.1


@dataclass(frozen=True, slots=True)
class _Range:
    """Centre and half width of a tensor in each channel, [1, channels, 1, ...]."""

    centre: np.ndarray
    half: np.ndarray


def products(graph: Graph) -> list[Node]:
    """List the products of two tensors that both depend on the inputs.

    Args:
        graph: Canonical graph, functions of one tensor fused.
    """
    return [
        node
        for node in graph.nodes
        if node.op == "Mul" and not graph.constants.keys() & set(node.inputs)
    ]


def oversized(graph: Graph, original: Graph) -> list[Problem]:
    """Report the largest sum of products if a network needs an absurd number of neurons for all.

    Args:
        graph: Graph in canonical operators, before shapes are known.
        original: Graph in the model's own operators, with shapes.
    """
    producers = graph.producers
    made = {node.output for node in products(graph)}
    counts: dict[str, int] = {}
    for node in graph.nodes:
        if node.op == "ReduceSum" and node.inputs[0] in made:
            product = producers[node.inputs[0]]
            shapes = [_target(graph, producers.get(name)) for name in product.inputs]
            counts[product.name] = _SQUARES * prod(np.broadcast_shapes(*shapes))
    total = sum(counts.values())
    if total <= _MOST_NEURONS:
        return []
    largest = max(counts, key=lambda name: counts[name])
    return [
        problem(
            original,
            next(node for node in (*original.nodes, *graph.nodes) if node.name == largest),
            f"it multiplies activations with {counts[largest]:,} neurons, one for each product "
            f"and sign; all such nodes together take {total:,}, more than {_MOST_NEURONS:,}.",
            "Shorten the sequence: larger patches, or pooling between the blocks.",
        )
    ]


def _target(graph: Graph, node: Node | None) -> tuple[int, ...]:
    """Return the shape that a Reshape gives each sample; a scalar's if there is none."""
    if node is None or node.op != "Reshape":
        return ()
    return tuple(int(size) for size in graph.constants[node.inputs[1]][1:])


def lower_products(graph: Graph, context: Context) -> Graph:
    """Write every product of two tensors with squares and affine operators.

    Args:
        graph: Canonical graph with shapes, functions of one tensor fused.
        context: With the samples whose activations show the operands' ranges.
    """
    found = products(graph)
    if not found:
        return graph
    operands = {name for node in found for name in node.inputs}
    graph = _with_relays(graph, operands | _sums(graph, found))
    fitted = context.samples is not None
    samples = context.samples if context.samples is not None else _unfitted(graph)
    ranges = _ranges(graph, samples, operands, fitted=fitted)
    made = {node.output for node in products(graph)}

    def rule(rewrite: Rewrite, node: Node) -> str | None:
        if node.output not in made:
            return None
        return _product(rewrite, *(ranges[name] for name in node.inputs))

    return rewrite_nodes(graph, rule)


def _unfitted(graph: Graph) -> dict[str, np.ndarray]:
    """Make samples as wide as those that the graph is compared with the file on."""
    drawn = random_inputs(graph, _RANDOM)
    return {name: (2 * array - 1) * _WIDE for name, array in drawn.items()}


def _with_relays(graph: Graph, operands: set[str]) -> Graph:
    """Put neurons that send an operand's values where it gathers those of many neurons.

    The squares, and all that reads the operand, then have one synapse for each element of it.
    """
    producers = graph.producers
    nodes: list[Node] = []
    shapes = dict(graph.shapes)
    for node in graph.nodes:
        name = node.output
        if name not in operands or not _gathers(graph, producers, name):
            nodes.append(node)
            continue
        sums = f"{name}/gathered"
        shapes[sums] = shapes[name]
        nodes += [
            replace(node, outputs=(sums, *node.outputs[1:])),
            identity(sums, name, f"{node.name}/relay"),
        ]
    return replace(graph, nodes=nodes, shapes=shapes)


def _sums(graph: Graph, found: list[Node]) -> set[str]:
    """Find the sums of products that a further operator gathers, as that after attention."""
    consumers = graph.consumers
    made = {node.output for node in found}
    sums = [
        node.output
        for node in graph.nodes
        if node.op == "ReduceSum" and node.inputs[0] in made and node.output != graph.output
    ]
    return {name for name in sums if _is_gathered(consumers, name)}


def _is_gathered(consumers: Mapping[str, list[Node]], name: str) -> bool:
    """Whether an operator that gathers reads a tensor, before neurons do."""
    front = [name]
    while front:
        for node in consumers.get(front.pop(), []):
            if entry_of(node).gathers:
                return True
            if kind_of(node) != "population":
                front.append(node.output)
    return False


def _gathers(graph: Graph, producers: Mapping[str, Node], name: str) -> bool:
    """Whether elements of a tensor are sums of many neurons' values."""
    front = [name]
    while front:
        node = producers.get(front.pop())
        if node is None or kind_of(node) == "population":
            continue
        data = [name for name in node.inputs if name and name not in graph.constants]
        if entry_of(node).gathers:
            return True
        if node.op != "Mul" or len(data) == 1:
            front += data
    return False


def _product(rewrite: Rewrite, of_a: _Range, of_b: _Range) -> str:
    """Write one product; see the equation above."""
    a, b = (_expanded(rewrite, name) for name in rewrite.node.inputs)
    both = of_a.half * of_b.half
    ratio = np.sqrt(np.divide(of_b.half, of_a.half, out=np.ones_like(both), where=both > 0))
    u = rewrite.emit("Mul", rewrite.emit("Add", a, -of_a.centre), ratio / 2)
    v = rewrite.emit("Mul", rewrite.emit("Add", b, -of_b.centre), 1 / (2 * ratio))
    plus = _squared(rewrite, rewrite.emit("Add", u, v), "sum")
    minus = _squared(rewrite, rewrite.minus(u, v), "difference")
    centred = rewrite.minus(plus, minus)
    linear = rewrite.emit(
        "Add", rewrite.emit("Mul", a, of_b.centre), rewrite.emit("Mul", b, of_a.centre)
    )
    shifted = rewrite.emit("Add", linear, -of_a.centre * of_b.centre)
    return rewrite.emit("Add", centred, shifted)


def _expanded(rewrite: Rewrite, name: str) -> str:
    shape = rewrite.output_shape
    if rewrite.shape(name) == shape:
        return name
    return rewrite.emit("Expand", name, np.array([1, *shape], np.int64))


def _squared(rewrite: Rewrite, x: str, label: str) -> str:
    output = f"{rewrite.node.output}/{label}"
    rewrite.nodes.append(square(x, output, f"{rewrite.node.name}/{label}"))
    return output


def _ranges(
    graph: Graph, samples: Mapping[str, np.ndarray], names: set[str], *, fitted: bool
) -> dict[str, _Range]:
    """Run a graph on samples and return the range of some of its tensors."""
    runner = Runner.of(graph, sorted(names), optimise=fitted)
    feeds = {name: np.asarray(samples[name], np.float32) for name in graph.inputs}
    size = samples_at_once(sum(int(np.prod(graph.shapes[name])) for name in names), _BATCH)
    low: dict[str, np.ndarray] = {}
    high: dict[str, np.ndarray] = {}
    for values in runner.batches(feeds, size):
        for name, value in values.items():
            axes = tuple(axis for axis in range(value.ndim) if axis != 1)
            least, most = (pick(value, axis=axes, keepdims=True) for pick in (np.min, np.max))
            low[name] = np.minimum(low.get(name, least), least)
            high[name] = np.maximum(high.get(name, most), most)
    narrowest = _NARROWEST if fitted else _NARROWEST_RANDOM
    return {name: _range(low[name], high[name], narrowest) for name in names}


def _range(low: np.ndarray, high: np.ndarray, narrowest: float) -> _Range:
    """Return a range; channels that hardly vary may do so on other samples."""
    half = (high - low) / 2
    return _Range(centre=(low + high) / 2, half=np.maximum(half, narrowest * half.max()))
