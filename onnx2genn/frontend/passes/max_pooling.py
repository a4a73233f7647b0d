"""Bring max pooling to where it can be computed with spikes: directly behind a population."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2genn.frontend.context import Context
from onnx2genn.ir.functions import identity, is_function
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.registry import entry_of, kind_of


def settle_pools(graph: Graph, context: Context) -> Graph:
    """Put a population directly before each max pooling.

    A max pooling of signed values moves behind the activation that follows it.

    For a function g that grows, such as Relu, a positive factor of each channel or a shift of each
    channel, g(max(x)) = max(g(x)) is exact; borders do not count in either. A pool then reads the
    spikes of a population, whose largest count it passes on. Where no activation follows, neurons
    that send the signed values themselves go before it.

    Args:
        graph: Canonical graph with shapes.
        context: Not needed.
    """
    for pool in [node for node in graph.nodes if node.op == "MaxPool"]:
        if not selects_spikes(graph, pool.inputs[0]):
            graph = _behind_activation(graph, pool)
    for pool in [node for node in graph.nodes if node.op == "MaxPool"]:
        if not selects_spikes(graph, pool.inputs[0]):
            graph = _behind_neurons(graph, pool)
    return graph


def selects_spikes(graph: Graph, tensor: str) -> bool:
    """Whether each element of a tensor is the output of one neuron, or zero at a border.

    Where neurons send values from an offset on, no spike is not zero, and a border is refused.
    """
    producers = graph.producers
    front, ops = [tensor], set()
    while front:
        node = producers.get(front.pop())
        if node is None or kind_of(node) not in ("data movement", "population"):
            return False
        ops.add("offset" if is_function(node) else node.op)
        if kind_of(node) == "data movement" or node.op == "MaxPool":
            front += [name for name in node.inputs if name not in graph.constants]
    return not {"offset", "Pad"} <= ops


def _behind_neurons(graph: Graph, pool: Node) -> Graph:
    """Put neurons that send signed values before a pool."""
    source = pool.inputs[0]
    values = f"{pool.output}/values"
    neurons = identity(source, values, f"{pool.name}/values")
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes += [neurons, replace(pool, inputs=(values,))] if node is pool else [node]
    return replace(graph, nodes=nodes, shapes={**graph.shapes, values: graph.shapes[source]})


def _behind_activation(graph: Graph, pool: Node) -> Graph:
    """Exchange a pool with the nodes after it up to an activation, if each of them grows."""
    chain = _growing_chain(graph, pool)
    if not chain:
        return graph
    shapes, source = dict(graph.shapes), pool.inputs[0]
    moved = []
    for node in chain:
        output = f"{node.output}/unpooled"
        shapes[output] = shapes[pool.inputs[0]]
        moved.append(replace(node, inputs=(source, *node.inputs[1:]), outputs=(output,)))
        source = output
    moved.append(replace(pool, inputs=(source,), outputs=chain[-1].outputs))
    nodes: list[Node] = []
    for node in graph.nodes:
        if node is pool:
            nodes += moved
        elif node not in chain:
            nodes.append(node)
    return replace(graph, nodes=nodes, shapes=shapes)


def _growing_chain(graph: Graph, pool: Node) -> list[Node]:
    """Collect the only readers, one after the other, up to an activation; none if one shrinks."""
    consumers = graph.consumers
    chain: list[Node] = []
    tensor = pool.output
    while tensor != graph.output and len(consumers[tensor]) == 1:
        (node,) = consumers[tensor]
        if _grows(node):
            return [*chain, node]
        if not _grows_by_channel(graph, node):
            break
        chain.append(node)
        tensor = node.output
    return []


def _grows(node: Node) -> bool:
    """Whether g(max(x)) = max(g(x)) for the function of a node."""
    factors = (node.attributes.get(name, 0.0) for name in ("alpha", "gamma"))
    return entry_of(node).increasing and all(factor >= 0 for factor in factors)


def _grows_by_channel(graph: Graph, node: Node) -> bool:
    if node.op not in ("Add", "Mul") or node.inputs[1] not in graph.constants:
        return False
    operand = graph.constants[node.inputs[1]]
    rank = len(graph.shapes[node.output]) + 1
    spatial = operand.reshape((1,) * (rank - operand.ndim) + operand.shape).shape[2:]
    return int(np.prod(spatial)) == 1 and (node.op == "Add" or bool((operand > 0).all()))
