"""Count operations: multiply-accumulates of the ANN, synaptic operations of the SNN."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from onnx2genn.frontend.size import macs_of
from onnx2genn.ir.functions import MATRICES
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.run import Runner
from onnx2genn.ir.segment import Segment

_AT_ONCE = 64
_MOST_OPERATIONS = 2 * 10**9


def macs(graph: Graph) -> int:
    """Count the multiply-accumulates of one forward pass of the ANN.

    Convolutions and matrix products count, with the products at padded borders; element-wise
    operations and pooling do not.

    Args:
        graph: Canonical graph.
    """
    return sum(_node_macs(node, graph) for node in graph.nodes)


def current_macs(segment: Segment, entry: str) -> int:
    """Count the multiply-accumulates that turn a constant input into a current, once a sample.

    Args:
        segment: Map to a population or to the readout.
        entry: Name of the network's input.
    """
    reached, found = {entry}, 0
    for node in segment.nodes:
        if not reached.isdisjoint(node.inputs):
            reached.update(node.outputs)
            found += _node_macs(node, segment)
    return found


def _node_macs(node: Node, graph: Graph | Segment) -> int:
    if node.op == MATRICES:
        left = node.body[-1].inputs[0]
        return int(np.prod(graph.shapes[node.output]) * graph.constants[f"{left}/shape"][-1])
    if node.op not in ("Conv", "ConvTranspose", "MatMul") or node.output not in graph.shapes:
        return 0  # what only counts synapses has no shape
    data, weight = node.inputs[:2]
    shapes = graph.shapes
    return macs_of(node.op, shapes[data], graph.constants[weight].shape, shapes[node.output])


class SynapseCounter:
    """Counts the synaptic operations that spikes cause: one for each spike at each synapse.

    A synapse is an entry of the matrix that a segment is, borders included. The segment is run
    with 1 for every weight that is not zero, on the number of spikes of every neuron: this counts
    ways through it. Where ways part and may meet again, as those of x and of its mean, it is run
    on each neuron alone, and the targets are counted; ways again where that would take too long.
    """

    def __init__(self, segment: Segment) -> None:
        self._shapes = {name: segment.shapes[name] for name in segment.sources}
        self._runner = _ones(segment)
        self._apart = _parts(segment) and _short(segment)

    def count(self, spikes: Mapping[str, np.ndarray]) -> float:
        """Count synaptic operations.

        Args:
            spikes: Spikes of every neuron of each source, [*shape]; a source that is not named,
                such as a constant input current, causes none.
        """
        if spikes.keys().isdisjoint(self._shapes):
            return 0.0
        if self._apart:
            return sum(
                float(self._targets(name) @ spikes[name].ravel())
                for name in self._shapes
                if name in spikes
            )
        feeds = {
            name: spikes.get(name, np.zeros(shape))[None].astype(np.float32)
            for name, shape in self._shapes.items()
        }
        (received,) = self._runner(feeds).values()
        return float(received.sum(dtype=np.float64))

    def _targets(self, source: str) -> np.ndarray:
        """Count the targets that each neuron of a source reaches, [neurons]."""
        size = int(np.prod(self._shapes[source]))
        found = []
        for start in range(0, size, _AT_ONCE):
            alone = np.eye(min(_AT_ONCE, size - start), size, start, dtype=np.float32)
            feeds = {
                name: alone.reshape(-1, *shape)
                if name == source
                else np.zeros((len(alone), *shape), np.float32)
                for name, shape in self._shapes.items()
            }
            (reached,) = self._runner(feeds).values()
            found.append(np.count_nonzero(reached.reshape(len(alone), -1), axis=1))
        return np.concatenate(found)


def _parts(segment: Segment) -> bool:
    """Whether a tensor on the way is read more than once."""
    read = Counter(name for node in segment.nodes for name in set(node.inputs))
    return any(read[name] > 1 for name in segment.shapes)


def _short(segment: Segment) -> bool:
    """Whether the segment can be run on each neuron of its sources alone."""
    if any(node.output not in segment.shapes for node in segment.nodes):
        return False  # products of matrices, whose ways do not meet
    neurons = sum(int(np.prod(segment.shapes[name])) for name in segment.sources)
    values = sum(int(np.prod(segment.shapes[node.output])) for node in segment.nodes)
    products = sum(_node_macs(node, segment) for node in segment.nodes)
    return neurons * (values + products) <= _MOST_OPERATIONS


def _ones(segment: Segment) -> Runner:
    """Build the model that maps spike counts to arriving spikes."""
    constants = dict(segment.constants)
    nodes = []
    for node in segment.nodes:
        if node.op in ("Conv", "ConvTranspose"):
            node = replace(node, inputs=node.inputs[:2])
        elif node.op == "AveragePool":
            attributes = {k: v for k, v in node.attributes.items() if k != "count_include_pad"}
            node = replace(node, op="LpPool", attributes={**attributes, "p": 1})
        elif node.op == "ReduceMean":
            node = replace(node, op="ReduceSum")
        for name in node.inputs:
            if name in constants and constants[name].dtype == np.float32:
                present = constants[name] != 0 if node.op != "Add" else 0 * constants[name]
                constants[name] = present.astype(np.float32)
        nodes.append(node)
    return Runner(replace(segment, nodes=tuple(nodes), constants=constants).to_onnx())
