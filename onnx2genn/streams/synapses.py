"""Count synapses: the entries of the matrix that a segment is, by running it on ones."""

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
from onnx2genn.streams.relays import ONE_TO_ONE, keeps_elements

_AT_ONCE = 64
# Spent on a segment: what counting all neurons may take, or else those that are drawn.
_MOST_OPERATIONS = 10**9
_DRAWN_OPERATIONS = 10**8
_FEWEST = 16
# Of a source, on which its synapses are estimated.
_ESTIMATED = 8
_MATRIX = 2


def node_macs(node: Node, graph: Graph | Segment) -> int:
    """Count the multiply-accumulates of an operator; others than products have none.

    Args:
        node: Canonical operator.
        graph: What has its shapes and weights.
    """
    if node.op == MATRICES:
        left = node.body[-1].inputs[0]
        return int(np.prod(graph.shapes[node.output]) * graph.constants[f"{left}/shape"][-1])
    if node.op not in ("Conv", "ConvTranspose", "MatMul"):
        return 0
    data, weight = node.inputs[:2]
    shapes = graph.shapes
    return macs_of(node.op, shapes[data], graph.constants[weight].shape, shapes[node.output])


class Targets:
    """Counts the targets that a neuron of a source has, which are its synapses.

    The segment is run with 1 for every weight that is not zero: where a spike has one way to each
    of its targets, on all neurons together; where ways may meet again, as those of x and of its
    mean, or those through the channels between two convolutions, on each neuron alone.

    Args:
        segment: Map from the sources.

    Attributes:
        meet: Whether ways may meet again.
        most: On how many neurons of a source the segment can be run alone.
    """

    def __init__(self, segment: Segment) -> None:
        self._shapes = {name: segment.shapes[name] for name in segment.sources}
        self._runner = _ones(segment)
        self.meet = _may_meet(segment)
        self.most = _affordable(segment)

    def received(self, spikes: Mapping[str, np.ndarray]) -> float:
        """Count what arrives of numbers of spikes, [*shape] by source, where no ways meet."""
        feeds = {
            name: spikes.get(name, np.zeros(shape)).reshape(1, *shape).astype(np.float32)
            for name, shape in self._shapes.items()
        }
        (received,) = self._runner(feeds).values()
        return float(received.sum(dtype=np.float64))

    def reached(self, source: str, neurons: np.ndarray) -> np.ndarray:
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


def estimated(segment: Segment, source: str) -> float:
    """Estimate the synapses of a source; those of a convolution or of one matrix are exact.

    On longer ways they are counted on a few neurons, always the same ones.

    Args:
        segment: Map from the source, among others.
        source: One of its sources.
    """
    gathering = _single(segment, source)
    size = int(np.prod(segment.shapes[source]))
    if gathering is not None:
        return _of_operator(gathering, segment) if gathering.outputs else size
    drawn = np.random.default_rng(0).choice(size, min(size, _ESTIMATED), replace=False)
    return size * float(Targets(segment).reached(source, drawn).mean())


_NO_OPERATOR = Node(op="", inputs=(), outputs=())


def _single(segment: Segment, source: str) -> Node | None:
    """Return the one operator on the only way from a source that does more than keep elements."""
    found, name = _NO_OPERATOR, source
    for node in segment.nodes:
        if name not in node.inputs:
            continue
        if sum(name in item.inputs for item in segment.nodes) > 1 or node.inputs.count(name) > 1:
            return None
        if not keeps_elements(node, segment.shapes):
            known = node.op == "Conv" or (
                node.op == "MatMul" and segment.constants[node.inputs[1]].ndim == _MATRIX
            )
            if found.outputs or not known:
                return None
            found = node
        name = node.output
    return found


def _of_operator(node: Node, segment: Segment) -> float:
    weight = segment.constants[node.inputs[1]]
    output = segment.shapes[node.output]
    if node.op == "MatMul":
        return float(np.count_nonzero(weight)) * np.prod(output) / weight.shape[1]
    found = np.count_nonzero(weight, axis=(0, 1)).astype(float)
    for axis, size in enumerate(segment.shapes[node.inputs[0]][1:]):
        at = np.arange(output[1 + axis])[:, None] * node.attributes["strides"][axis]
        taps = np.arange(weight.shape[2 + axis]) * node.attributes["dilations"][axis]
        read = at + taps - node.attributes["pads"][axis]
        found = np.tensordot(found, ((read >= 0) & (read < size)).sum(axis=0), (0, 0))
    return float(found)


def _may_meet(segment: Segment) -> bool:
    """Whether a spike may have several ways to a target: they part, and then they meet."""
    read = Counter(name for node in segment.nodes for name in set(node.inputs))
    if any(read[name] > 1 for name in segment.shapes):
        return True
    return sum(node.op not in ONE_TO_ONE for node in segment.nodes) > 1


def _affordable(segment: Segment) -> int:
    """Return on how many neurons of a source the segment can be run alone."""
    neurons = sum(int(np.prod(segment.shapes[name])) for name in segment.sources)
    values = sum(int(np.prod(segment.shapes[node.output])) for node in segment.nodes)
    products = sum(node_macs(node, segment) for node in segment.nodes)
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
