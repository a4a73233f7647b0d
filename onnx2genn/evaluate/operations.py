"""Count operations: multiply-accumulates of the ANN, synaptic operations of the SNN."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from onnx2genn.frontend.size import macs_of
from onnx2genn.ir.functions import MATRICES
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.run import Runner, samples_at_once
from onnx2genn.ir.segment import Segment

_AT_ONCE = 64
# Spent on a segment: what counting all neurons may take, or else those that are drawn.
_MOST_OPERATIONS = 10**9
_DRAWN_OPERATIONS = 10**8
_FEWEST = 16
# Operators in which an element of the input goes to one of the output at most.
_ONE_TO_ONE = frozenset({"Add", "Concat", "Mul", "Pad", "Reshape", "Slice", "Sub", "Transpose"})


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

    A synapse is an entry of the matrix that a segment is, borders included. Where a spike has one
    way to each of its targets, the segment is run with 1 for every weight that is not zero, on the
    number of spikes of every neuron. Where ways may meet again, as those of x and of its mean, or
    those through the channels between two convolutions, it is run on each neuron alone, and the
    targets are counted. Where that would take too long, it is run on neurons that are drawn with
    probabilities in proportion to their spikes n_i, always the same ones::

        operations = sum_i n_i f_i  ~  sum_i n_i * mean of the fan-out f over those that are drawn

    which is right in the mean, and within a few percent, since neurons of a population differ in
    their fan-out by little.
    """

    def __init__(self, segment: Segment) -> None:
        self._shapes = {name: segment.shapes[name] for name in segment.sources}
        self._runner = _ones(segment)
        self._alone = _may_meet(segment)
        self._most = _affordable(segment)

    def count(self, spikes: Mapping[str, np.ndarray]) -> float:
        """Count synaptic operations.

        Args:
            spikes: Spikes of every neuron of each source, [*shape]; a source that is not named,
                such as a constant input current, causes none.
        """
        given = {name: spikes[name].ravel() for name in self._shapes if name in spikes}
        if self._alone:
            return sum(self._through_targets(name, values) for name, values in given.items())
        if not given:
            return 0.0
        feeds = {
            name: given.get(name, np.zeros(shape)).reshape(1, *shape).astype(np.float32)
            for name, shape in self._shapes.items()
        }
        (received,) = self._runner(feeds).values()
        return float(received.sum(dtype=np.float64))

    def _through_targets(self, source: str, spikes: np.ndarray) -> float:
        """Count what the spikes of one source cause by the targets of its neurons."""
        firing = np.flatnonzero(spikes)
        if len(firing) <= self._most:
            return float(self._targets(source, firing) @ spikes[firing])
        total = float(spikes.sum())
        chosen = np.random.default_rng(0).choice(len(spikes), self._most, p=spikes / total)
        return total * float(self._targets(source, chosen).mean())

    def _targets(self, source: str, neurons: np.ndarray) -> np.ndarray:
        """Count the targets that neurons of a source reach, [neurons]."""
        size = sum(int(np.prod(shape)) for shape in self._shapes.values())
        at_once = samples_at_once(size, _AT_ONCE)
        found = [np.zeros(0)]
        for start in range(0, len(neurons), at_once):
            part = neurons[start : start + at_once]
            feeds = {
                name: np.zeros((len(part), *shape), np.float32)
                for name, shape in self._shapes.items()
            }
            feeds[source].reshape(len(part), -1)[np.arange(len(part)), part] = 1
            (reached,) = self._runner(feeds).values()
            found.append(np.count_nonzero(reached.reshape(len(part), -1), axis=1))
        return np.concatenate(found)


def _may_meet(segment: Segment) -> bool:
    """Whether a spike may have several ways to a target: they part, and then they meet."""
    if any(node.output not in segment.shapes for node in segment.nodes):
        return False  # products of matrices
    read = Counter(name for node in segment.nodes for name in set(node.inputs))
    if any(read[name] > 1 for name in segment.shapes):
        return True
    return sum(node.op not in _ONE_TO_ONE for node in segment.nodes) > 1


def _affordable(segment: Segment) -> int:
    """Return on how many neurons of a source the segment can be run alone."""
    neurons = sum(int(np.prod(segment.shapes[name])) for name in segment.sources)
    values = sum(int(np.prod(segment.shapes.get(node.output, ()))) for node in segment.nodes)
    products = sum(_node_macs(node, segment) for node in segment.nodes)
    cost = max(values + products, 1)
    if neurons * cost <= _MOST_OPERATIONS:
        return neurons
    return max(_FEWEST, _DRAWN_OPERATIONS // cost)


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
