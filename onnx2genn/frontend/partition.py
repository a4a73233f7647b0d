"""Cut a canonical graph into populations and the affine segments between them."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from onnx2genn.errors import Problem, UnsupportedModelError
from onnx2genn.frontend.operators.conditions import CONDITION
from onnx2genn.frontend.outputs import JOINED, joined_tensors
from onnx2genn.frontend.rewrite import problem
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.outputs import READOUT, Output, behind, parts_of
from onnx2genn.ir.partition import Partition, Population
from onnx2genn.ir.registry import entry_of, kind_of
from onnx2genn.ir.segment import Segment

_CHOICES = ("ArgMax", "ArgMin", "Hardmax", "TopK")


def partition(graph: Graph) -> tuple[Partition, list[Problem]]:
    """Cut a graph at its activations.

    Args:
        graph: Canonical graph whose heads are all at its end.

    Returns:
        The partition, and the problems of conditions that are left outside of functions.
    """
    kinds = [(node, kind_of(node)) for node in graph.nodes]
    logits, heads = strip_heads(graph)
    problems = [problem(graph, node, *CONDITION) for node, kind in kinds if kind == "condition"]
    cutter = _Cutter(graph)
    names: set[str] = set()
    populations = []
    for node, kind in kinds:
        if kind != "population" or node.output in heads:
            continue
        segment = cutter.segment(node.inputs[0], node.output)
        populations.append(
            Population(
                name=_identifier(node, names),
                node=node,
                segment=segment,
                depth=cutter.depth(segment),
                constants={name: graph.constants[name] for name in node.inputs[1:] if name},
            )
        )
        cutter.depths[node.output] = populations[-1].depth
    readout = cutter.segment(logits)
    parts = Partition(
        inputs=dict(graph.inputs),
        populations=tuple(populations),
        readout=readout,
        depth=cutter.depth(readout),
        outputs=_outputs(graph, readout, heads),
    )
    return parts, problems


def _outputs(graph: Graph, readout: Segment, heads: set[str]) -> tuple[Output, ...]:
    if readout.target == READOUT:
        return parts_of(graph)
    nodes = tuple(node for node in graph.nodes if node.output in heads)
    return (Output(name=graph.output, shape=readout.shape, heads=nodes),)


def cut(graph: Graph) -> Partition:
    """Cut a graph at its populations.

    Args:
        graph: Canonical graph.

    Raises:
        UnsupportedModelError: It has a node that is no part of a spiking network, a part without
            elements, or weights that are no numbers.
    """
    parts, problems = partition(graph)
    problems = problems or _without_elements(parts) or _broken_weights(graph)
    if problems:
        raise UnsupportedModelError("The model cannot be converted.", problems)
    return parts


def _without_elements(parts: Partition) -> list[Problem]:
    """List the populations, and the readout, that hold nothing."""
    places = [(item.node.name, item.node.operator, item.shape) for item in parts.populations]
    places.append((parts.readout.target, "output", parts.readout.shape))
    return [
        Problem(
            node=node,
            operator=operator,
            reason=f"it has shape {list(shape)}, which holds nothing.",
            advice="Look for a cut that leaves nothing, and take it out of the model.",
        )
        for node, operator, shape in places
        if 0 in shape
    ]


def _broken_weights(graph: Graph) -> list[Problem]:
    """List the nodes with weights that are no numbers."""
    return [
        Problem(
            node=node.name,
            operator=node.operator,
            reason="its weights, or a product of them, are infinite or not a number (NaN).",
            advice="Look for such weights in the trained model, and export it again.",
        )
        for node in graph.nodes
        if any(
            graph.constants[name].dtype.kind == "f" and not np.isfinite(graph.constants[name]).all()
            for name in node.inputs
            if name in graph.constants
        )
    ]


def misplaced_heads(graph: Graph) -> list[Problem]:
    """List the heads that are not at the end of the network.

    Args:
        graph: Canonical graph, in which nodes that cannot be converted may stand as they were.
    """
    _, heads = strip_heads(graph)
    return [
        problem(
            graph,
            node,
            "it is a head, which can only be taken off at the end of the network.",
            "A choice has no spiking form: weigh with Softmax instead, or convert what comes "
            "before it (--output TENSOR, output=).",
        )
        for node in graph.nodes
        if node.output not in heads and node.op in _CHOICES
    ]


def strip_heads(graph: Graph) -> tuple[str, set[str]]:
    """Walk back from the output over heads; return the logits and the outputs of the heads.

    Behind the readout of several outputs, all is heads. While they are joined as they are, each
    has its own, and what is returned first is what joins them.
    """
    producers = graph.producers
    if READOUT in producers:
        return READOUT, {name for node in behind(graph, READOUT) for name in node.outputs}
    if graph.output == JOINED:
        ends = joined_tensors(graph)
        branches = [replace(graph, output=name) for name in ends]
        return JOINED, set[str]().union(*(strip_heads(branch)[1] for branch in branches))
    logits = graph.output
    heads: set[str] = set()
    while logits in producers:
        node = producers[logits]
        passed = [node] if entry_of(node).ends else []
        passed = passed or _two_classes(graph, node) or _of_parts(graph, node)
        if not passed:
            break
        heads.update(item.output for item in passed)
        logits = passed[-1].inputs[0]
    return logits, heads


def _two_classes(graph: Graph, node: Node) -> list[Node]:
    """Match [1 - p, p] with p = Sigmoid(x), as scikit-learn writes it; end with the Sigmoid."""
    producers = graph.producers
    if node.op != "Concat" or len(node.inputs) != 2:
        return []
    rest, sigmoid = (producers.get(name) for name in node.inputs)
    negative = producers.get(rest.inputs[0]) if rest is not None and rest.op == "Add" else None
    if sigmoid is None or sigmoid.op != "Sigmoid" or rest is None or negative is None:
        return []
    if negative.op != "Mul" or negative.inputs[0] != sigmoid.output:
        return []
    operands = [graph.constants.get(item.inputs[1], np.zeros(0)) for item in (negative, rest)]
    if [array.ravel().tolist() for array in operands] != [[-1.0], [1.0]]:
        return []
    return [node, rest, negative, sigmoid]


def _of_parts(graph: Graph, node: Node) -> list[Node]:
    """Match Concat of parts of one tensor, some with a head of their own; end with a Slice.

    Detectors end so: coordinates beside scores, which alone have a Sigmoid.
    """
    if node.op != "Concat":
        return []
    found, heads = [node], 0
    for name in node.inputs:
        part = graph.producers.get(name)
        if part is not None and entry_of(part).ends:
            found.append(part)
            heads += 1
            part = graph.producers.get(part.inputs[0])
        if part is None or part.op != "Slice":
            return []
        found.append(part)
    sources = {item.inputs[0] for item in found if item.op == "Slice"}
    return found if heads and len(sources) == 1 else []


class _Cutter:
    """Finds what computes a tensor from those that are spike trains.

    Attributes:
        depths: Populations before each spiking tensor on the longest way, -1 for an input.
    """

    def __init__(self, graph: Graph) -> None:
        self.depths = dict.fromkeys(graph.inputs, -1)
        self._graph = graph
        self._order = {node.output: index for index, node in enumerate(graph.nodes)}
        self._ranks = {name: index for index, name in enumerate(graph.shapes)}

    def segment(self, target: str, *further: str) -> Segment:
        """Collect what computes a target, with the shapes of further tensors."""
        graph, found, sources = self._graph, dict[str, Node](), set[str]()
        front = [target]
        while front:
            name = front.pop()
            node = graph.producers.get(name)
            if name in self.depths:
                sources.add(name)
            elif node is not None and node.output not in found:
                found[node.output] = node
                front += node.inputs
        nodes = sorted(found.values(), key=lambda node: self._order[node.output])
        names = [name for node in nodes for name in (*node.inputs, *node.outputs)]
        names += [target, *further]
        return Segment(
            sources=tuple(sorted(sources, key=lambda name: self._ranks[name])),
            target=target,
            nodes=tuple(nodes),
            constants={name: graph.constants[name] for name in names if name in graph.constants},
            shapes={name: graph.shapes[name] for name in names if name in graph.shapes},
        )

    def depth(self, segment: Segment) -> int:
        """Return how many populations are before what a segment feeds, on the longest way."""
        return 1 + max(self.depths[name] for name in segment.sources)


def _identifier(node: Node, taken: set[str]) -> str:
    """Make a unique C identifier from the name of a node."""
    base = re.sub(r"\W+", "_", node.name, flags=re.ASCII).strip("_") or node.op
    base = f"{node.op}_{base}" if base[0].isdigit() else base
    name, index = base, 1
    while name in taken:
        index += 1
        name = f"{base}_{index}"
    taken.add(name)
    return name
