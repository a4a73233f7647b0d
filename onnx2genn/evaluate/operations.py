"""Count operations: multiply-accumulates of the ANN, synaptic operations of the SNN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from onnx2genn.frontend.size import macs_of
from onnx2genn.ir.functions import MATRICES
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.run import Runner
from onnx2genn.ir.segment import Segment


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
    if node.op not in ("Conv", "ConvTranspose", "MatMul"):
        return 0
    data, weight = node.inputs[:2]
    shapes = graph.shapes
    return macs_of(node.op, shapes[data], graph.constants[weight].shape, shapes[node.output])


class SynapseCounter:
    """Counts the synaptic operations that spikes cause: one for each spike at each synapse.

    A synapse is a path through the non-zero weights of a segment, borders included: the segment
    is run with 1 for every weight that is not zero, on the number of spikes of every neuron.
    """

    def __init__(self, segment: Segment) -> None:
        self._shapes = {name: segment.shapes[name] for name in segment.sources}
        self._runner = _ones(segment)

    def count(self, spikes: Mapping[str, np.ndarray]) -> float:
        """Count synaptic operations.

        Args:
            spikes: Spikes of every neuron of each source, [*shape]; a source that is not named,
                such as a constant input current, causes none.
        """
        if spikes.keys().isdisjoint(self._shapes):
            return 0.0
        feeds = {
            name: spikes.get(name, np.zeros(shape))[None].astype(np.float32)
            for name, shape in self._shapes.items()
        }
        (received,) = self._runner(feeds).values()
        return float(received.sum(dtype=np.float64))


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
