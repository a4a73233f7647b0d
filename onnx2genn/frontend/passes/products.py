"""Products of two tensors, as gates make them, by neurons that collect both operands apart.

A neuron that accumulates first may send any function of what it collected. So one that collects
two sums, a and b, each on a port of its own, sends their product; or with more of them, as in a
gated recurrent unit or behind a normalisation, what else is computed of it element by element::

    f(a, b, c, ...) = g(h(a) b + c)

An operand that many products read and that is a sum over many neurons, as a query or a mean, is
sent by relays, neurons of its own: else each of the products had a synapse from each of the many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from onnx2genn.errors import Problem
from onnx2genn.frontend.context import Context
from onnx2genn.frontend.passes.node_by_node import rewrite_nodes
from onnx2genn.frontend.passes.regions import Region, Regions, products
from onnx2genn.frontend.rewrite import Rewrite, problem
from onnx2genn.ir.functions import identity, of_ports
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.registry import entry_of, kind_of

_MOST_NEURONS = 2**26


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
            counts[product.name] = prod(np.broadcast_shapes(*shapes))
    total = sum(counts.values())
    if total <= _MOST_NEURONS:
        return []
    largest = max(counts, key=lambda name: counts[name])
    return [
        problem(
            original,
            next(node for node in (*original.nodes, *graph.nodes) if node.name == largest),
            f"it multiplies activations with {counts[largest]:,} neurons, one for each product; "
            f"all such nodes together take {total:,}, more than {_MOST_NEURONS:,}.",
            "Shorten the sequence: larger patches, or pooling between the blocks.",
        )
    ]


def _target(graph: Graph, node: Node | None) -> tuple[int, ...]:
    """Return the shape that a Reshape gives each sample; a scalar's if there is none."""
    if node is None or node.op != "Reshape":
        return ()
    return tuple(int(size) for size in graph.constants[node.inputs[1]][1:])


def lower_products(graph: Graph, context: Context) -> Graph:
    """Write every product of two tensors as a function of several sums.

    Args:
        graph: Canonical graph with shapes, functions of one tensor fused.
        context: Not needed.
    """
    found = products(graph)
    if not found:
        return graph
    repeated = {
        name
        for node in found
        for name in node.inputs
        if graph.shapes[name] != graph.shapes[node.output]
    }
    graph = _with_relays(graph, repeated | _sums(graph, found))
    regions = {item.end.output: item for item in Regions(graph).all()}

    def rule(rewrite: Rewrite, node: Node) -> str | None:
        region = regions.get(node.output)
        return None if region is None else _function(rewrite, region)

    return rewrite_nodes(graph, rule).only_live()


def _with_relays(graph: Graph, operands: set[str]) -> Graph:
    """Put neurons that send an operand's values where it gathers those of many neurons.

    All that reads the operand then has one synapse for each element of it.
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


def _function(rewrite: Rewrite, region: Region) -> str:
    """Write a region as neurons with a port for each of its tensors."""
    ports = [_port(rewrite, name) for name in region.ports]
    for index, name in enumerate(region.ports.values()):
        rewrite.store(np.int64(index), f"{name}/index")
    result = f"{region.end.output}/value"
    body = [item.renamed({region.end.output: result}) for item in region.body]
    body = [replace(item, name=item.output) for item in body]
    sums = rewrite.emit("Concat", *ports, axis=1)
    return rewrite.add(of_ports(sums, [*region.ports.values()], body, name=region.end.name))


def _port(rewrite: Rewrite, name: str) -> str:
    """Repeat a tensor to the shape of the neurons, with an axis for the ports."""
    shape = rewrite.output_shape
    if rewrite.shape(name) != shape:
        name = rewrite.emit("Expand", name, np.array([1, *shape], np.int64))
    return rewrite.emit("Reshape", name, np.array([0, 1, *shape], np.int64))
