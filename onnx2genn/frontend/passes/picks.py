"""What is picked from a Concat depends on the part that it is picked from, and on no other.

A recurrent layer joins the states of all steps to one sequence, of which the next layer reads one
step after the other and the answer the last one alone. Taken as they stand, each of these readers
would wait for all the steps, and be connected to all. So the elements that such nodes pick are
followed back to where they come from, by letting the nodes move numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import onnx

from onnx2genn.frontend.context import Context
from onnx2genn.frontend.shapes import with_shapes
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Graph, Node, live
from onnx2genn.ir.run import Runner

_PICKS = frozenset({"Gather", "Slice"})
_MOVES = _PICKS | {"Concat", "Expand", "Reshape", "Transpose"}


def take_from_parts(graph: Graph, context: Context) -> Graph:
    """Read what is picked from a Concat from its parts.

    Args:
        graph: Canonical graph with shapes.
        context: Not needed.
    """
    sources = _sources(graph)
    if not sources:
        return graph
    picked = _picked(graph, sources)
    nodes: list[Node] = []
    constants: dict[str, np.ndarray] = {}
    for node in graph.nodes:
        written = picked.get(node.output)
        nodes += written.nodes if written else [node]
        constants |= written.constants if written else {}
    if not constants:
        return graph
    return with_shapes(graph.rewritten(nodes, constants).only_live())


def _sources(graph: Graph) -> dict[str, list[str]]:
    """Find what is picked from several tensors and then read, with these tensors."""
    found: dict[str, list[str]] = {}
    cut: set[str] = set()
    for node in graph.nodes:
        if node.op not in _MOVES:
            continue
        data = [name for name in node.inputs if name not in graph.constants]
        found[node.output] = list(
            dict.fromkeys(source for name in data for source in found.get(name, [name]))
        )
        if len(found[node.output]) > 1 and (node.op in _PICKS or not cut.isdisjoint(data)):
            cut.add(node.output)
    read = {name for node in graph.nodes if node.op not in _MOVES for name in node.inputs}
    return {name: found[name] for name in found if name in cut & (read | {graph.output})}


def _picked(graph: Graph, sources: dict[str, list[str]]) -> dict[str, Builder]:
    """Write what is picked from fewer tensors than it was joined of."""
    starts: dict[str, int] = {}
    feeds, count = {}, 0
    for name in dict.fromkeys(source for found in sources.values() for source in found):
        shape = graph.shapes[name]
        starts[name] = count
        feeds[name] = np.arange(count, count + prod(shape)).reshape(1, *shape)
        count += prod(shape)
    numbers = _moved(graph, feeds, list(sources))
    bounds = np.array(list(starts.values()))
    names = list(starts)
    written = {}
    for name, found in sources.items():
        at = np.searchsorted(bounds, numbers[name].ravel(), side="right") - 1
        used = [names[index] for index in dict.fromkeys(at)]
        if len(used) < len(found):
            local = np.concatenate([feeds[source].ravel() for source in used])
            order = np.argsort(local)
            index = order[np.searchsorted(local, numbers[name].ravel(), sorter=order)]
            written[name] = _written(graph, name, used, index)
    return written


def _moved(
    graph: Graph, feeds: dict[str, np.ndarray], wanted: Sequence[str]
) -> dict[str, np.ndarray]:
    """Let the nodes that only move data move numbers."""
    moves = [node for node in graph.nodes if node.op in _MOVES]
    nodes, constants = live(moves, graph.constants, wanted)
    inputs = {name: array.shape[1:] for name, array in feeds.items()}
    types = dict.fromkeys(inputs, onnx.TensorProto.INT64)
    part = Graph(inputs=inputs, output=wanted[-1], nodes=nodes, constants=constants)
    return Runner.of(part, wanted, input_types=types)(feeds)


def _written(graph: Graph, name: str, used: Sequence[str], index: np.ndarray) -> Builder:
    """Write a tensor as elements of others."""
    builder = Builder(name, graph.names)
    flat = [
        builder.emit("Reshape", source, np.array([0, prod(graph.shapes[source])], np.int64))
        for source in used
    ]
    whole = builder.emit("Concat", *flat, axis=1) if len(flat) > 1 else flat[0]
    if not np.array_equal(index, np.arange(sum(prod(graph.shapes[source]) for source in used))):
        whole = builder.emit("Gather", whole, index, axis=1)
    target = np.array([0, *graph.shapes[name]], np.int64)
    builder.emit("Reshape", whole, target, output=name, name=graph.producers[name].name)
    return builder
