"""Cut a canonical graph into populations and the affine segments between them."""

from __future__ import annotations

import re

import numpy as np

from onnx2genn.errors import Problem
from onnx2genn.frontend.operators.curves import CONDITION
from onnx2genn.frontend.rewrite import problem
from onnx2genn.ir.graph import Graph, Node, live
from onnx2genn.ir.partition import Partition, Population
from onnx2genn.ir.registry import entry_of, kind_of
from onnx2genn.ir.segment import Segment


def partition(graph: Graph) -> tuple[Partition, list[Problem]]:
    """Cut a graph at its activations.

    Args:
        graph: Canonical graph whose heads are all at its end.

    Returns:
        The partition, and the problems of conditions that are left outside of functions.
    """
    logits, heads = strip_heads(graph)
    problems = [
        problem(graph, node, *CONDITION) for node in graph.nodes if kind_of(node) == "condition"
    ]
    depths = dict.fromkeys(graph.inputs, -1)
    names: set[str] = set()
    populations = []
    for node in graph.nodes:
        if kind_of(node) != "population" or node.output in heads:
            continue
        segment = _segment(graph, node.inputs[0], set(depths), node.output)
        depth = 1 + max(depths[name] for name in segment.sources)
        populations.append(
            Population(
                name=_identifier(node, names),
                node=node,
                segment=segment,
                depth=depth,
                constants={name: graph.constants[name] for name in node.inputs[1:] if name},
            )
        )
        depths[node.output] = depth
    readout = _segment(graph, logits, set(depths), logits)
    parts = Partition(
        inputs=dict(graph.inputs),
        populations=tuple(populations),
        readout=readout,
        depth=1 + max(depths[name] for name in readout.sources),
    )
    return parts, problems


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
            "A choice has no spiking form; weigh with Softmax instead.",
        )
        for node in graph.nodes
        if node.output not in heads and node.op == "ArgMax"
    ]


def strip_heads(graph: Graph) -> tuple[str, set[str]]:
    """Walk back from the output over heads; return the logits and the outputs of the heads."""
    producers = graph.producers
    logits = graph.output
    heads: set[str] = set()
    while logits in producers:
        node = producers[logits]
        passed = [node] if entry_of(node).ends else _two_classes(graph, node)
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


def _segment(graph: Graph, target: str, spiking: set[str], tensor: str) -> Segment:
    """Collect what computes a target from the spiking tensors."""
    before = [node for node in graph.nodes if node.output not in spiking]
    if target in spiking:
        before = []
    nodes, constants = live(before, graph.constants, [target])
    read = {name for node in nodes for name in node.inputs} | {target}
    computed = {name for node in nodes for name in node.outputs}
    shapes = {
        name: graph.shapes[name] for name in (read | computed | {tensor}) if name in graph.shapes
    }
    return Segment(
        sources=tuple(name for name in graph.shapes if name in read & spiking),
        target=target,
        nodes=tuple(nodes),
        constants=constants,
        shapes=shapes,
    )


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
