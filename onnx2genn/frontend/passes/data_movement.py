"""Data that only moves, along ways that put the batch elsewhere for a while, as one choice.

PyTorch writes an adaptive pooling of unequal windows as Transpose, GatherND, Transpose with the
batch in the middle, and ``as_strided`` as a Gather from the whole batch in one row. What such nodes
do together is seen by letting them move numbers.
"""

from __future__ import annotations

import numpy as np
import onnx

from onnx2genn.frontend.context import Context
from onnx2genn.frontend.probe import Probe, Trial
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Graph, Node, Shape
from onnx2genn.ir.registry import entry_of
from onnx2genn.ir.run import Runner


def straighten_moves(graph: Graph, context: Context) -> Graph:
    """Replace chains that lose the batch as the first axis, and find it again, by one Gather.

    Args:
        graph: Graph in its own operators, with an open batch axis.
        context: How it may be run.
    """
    seen = context.probe(graph)
    chains = _chains(graph, seen)
    if not chains:
        return graph
    runs = [context.trial(graph, batch) for batch in context.batches]
    nodes = {node.output: [node] for node in graph.nodes}
    constants: dict[str, np.ndarray] = {}
    for end, chain in chains.items():
        source = chain[0].inputs[0]
        picked, again = (_picked(graph, chain, run, seen.shapes[source]) for run in runs)
        if picked is None or again is None or not np.array_equal(picked, again):
            continue
        builder = Builder(end, graph.names)
        flat = builder.emit("Flatten", source)
        taken = builder.emit("Gather", flat, picked.ravel(), axis=1)
        shape = np.array([0, *seen.shapes[end]], np.int64)
        builder.emit("Reshape", taken, shape, output=end, name=chain[-1].name)
        nodes[end] = builder.nodes
        constants |= builder.constants
    straight = (item for part in nodes.values() for item in part)
    return graph.rewritten(straight, constants).only_live()


def _chains(graph: Graph, seen: Probe) -> dict[str, list[Node]]:
    """Find the chains by the tensor that they end in, from one with the batch first to another."""
    producers = graph.producers
    chains = {}
    for node in graph.nodes:
        chain = [node]
        while entry_of(chain[0]).selects and chain[0].inputs[0] not in seen.shapes:
            before = producers.get(chain[0].inputs[0])
            if before is None:
                break
            chain.insert(0, before)
        moves = all(
            entry_of(item).selects and seen.independent >= set(item.inputs[1:]) - {""}
            for item in chain
        )
        if len(chain) > 1 and moves and {node.output, chain[0].inputs[0]} <= seen.shapes.keys():
            chains[node.output] = chain
    return chains


def _picked(graph: Graph, chain: list[Node], run: Trial, shape: Shape) -> np.ndarray | None:
    """Return which element of a sample each element of the result is, if of the same sample."""
    source, end = chain[0].inputs[0], chain[-1].output
    size = int(np.prod(shape))
    constants = {name: run.values[name] for node in chain for name in node.inputs[1:] if name}
    part = Graph(
        inputs={source: shape},
        output=end,
        nodes=chain,
        constants=constants,
        opset=graph.opset,
        imports=graph.imports,
    )
    numbers = np.arange(run.batch * size).reshape(run.batch, *shape)
    moved = Runner.of(part, input_types={source: onnx.TensorProto.INT64})({source: numbers})[end]
    sample, element = np.divmod(moved, size)
    own = np.arange(run.batch).reshape(-1, *[1] * (moved.ndim - 1))
    if (sample != own).any() or (element != element[:1]).any():
        return None
    return element[0]
