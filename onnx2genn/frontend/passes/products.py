"""Products of two tensors, as gates make them, by neurons that collect both operands apart.

A neuron that accumulates first may send any function of what it collected. So one that collects
two sums, a and b, each on a port of its own, sends their product; or with more of them, as in a
gated recurrent unit or behind a normalisation, what else is computed of it element by element::

    f(a, b, c, ...) = g(h(a) b + c)

The neurons of a product of matrices, as in attention, have the values that one factor sends as
weights of those that the other one sends.

An operand that many products read and that is a sum over many neurons, as a query or a mean, is
sent by relays, neurons of its own: else each of the products had a synapse from each of the many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from onnx2genn.frontend.context import Context
from onnx2genn.frontend.passes.node_by_node import rewrite_nodes
from onnx2genn.frontend.passes.regions import Region, Regions, products
from onnx2genn.frontend.rewrite import Rewrite
from onnx2genn.ir.functions import identity, of_matrices, of_ports
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.registry import entry_of, kind_of


def lower_products(graph: Graph, context: Context) -> Graph:
    """Write every product of two tensors as a function of several sums.

    Args:
        graph: Canonical graph with shapes, functions of one tensor fused.
        context: Not needed.
    """
    found, matrices = products(graph), _matrix_products(graph)
    repeated = {
        name
        for node in found
        for name in node.inputs
        if graph.shapes[name] != graph.shapes[node.output]
    }
    if repeated or matrices:
        graph = _with_relays(graph, repeated.union(*(node.inputs for node in matrices)))
    regions = {item.end.output: item for item in Regions(graph).all()}
    pairs = {node.output for node in matrices}

    def rule(rewrite: Rewrite, node: Node) -> str | None:
        if node.output in pairs:
            return _of_matrices(rewrite)
        region = regions.get(node.output)
        return None if region is None else _function(rewrite, region)

    return rewrite_nodes(graph, rule).only_live()


def _matrix_products(graph: Graph) -> list[Node]:
    """List the products of matrices that both depend on the inputs."""
    return [
        node
        for node in graph.nodes
        if node.op == "MatMul" and not graph.constants.keys() & set(node.inputs)
    ]


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


def _of_matrices(rewrite: Rewrite) -> str:
    """Write the product of two matrices as neurons that read both."""
    output, start, flat, factors = rewrite.node.output, 0, [], []
    for name, side in zip(rewrite.node.inputs, ("left", "right"), strict=True):
        factor, shape = f"{output}/{side}", rewrite.shape(name)
        size = prod(shape)
        flat.append(rewrite.emit("Reshape", name, np.array([0, size], np.int64)))
        places = {"start": [start], "end": [start + size], "axis": [1], "shape": [0, *shape]}
        for part, place in places.items():
            rewrite.store(np.array(place, np.int64), f"{factor}/{part}")
        factors.append(factor)
        start += size
    values = rewrite.emit("Concat", *flat, axis=1)
    return rewrite.add(of_matrices(values, factors, f"{output}/value", name=rewrite.node.name))


def _function(rewrite: Rewrite, region: Region) -> str:
    """Write a region as neurons with a port for each of its tensors, or without if it is one."""
    result = f"{region.end.output}/value"
    names = {region.end.output: result}
    if len(region.ports) == 1:
        ((name, port),) = region.ports.items()
        sums = names[port] = _repeated(rewrite, name)
    else:
        sums = rewrite.emit("Concat", *(_port(rewrite, name) for name in region.ports), axis=1)
        for index, port in enumerate(region.ports.values()):
            rewrite.store(np.int64(index), f"{port}/index")
    body = [item.renamed(names) for item in region.body]
    body = [replace(item, name=item.output) for item in body]
    ports = [*region.ports.values()] if len(region.ports) > 1 else []
    return rewrite.add(of_ports(sums, ports, body, name=region.end.name))


def _repeated(rewrite: Rewrite, name: str) -> str:
    """Repeat a tensor to the shape of the product."""
    shape = rewrite.output_shape
    if rewrite.shape(name) == shape:
        return name
    return rewrite.emit("Expand", name, np.array([1, *shape], np.int64))


def _port(rewrite: Rewrite, name: str) -> str:
    """Give a tensor in the shape of the product an axis for the ports."""
    shape = np.array([0, 1, *rewrite.output_shape], np.int64)
    return rewrite.emit("Reshape", _repeated(rewrite, name), shape)
