"""Heads at the very end, where they can be taken off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2genn.frontend.context import Context
from onnx2genn.frontend.outputs import JOINED
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.registry import kind_of

_ELEMENTWISE = "Sigmoid"


def sink_heads(graph: Graph, context: Context) -> Graph:
    """Bring a Sigmoid behind the nodes after it that only move data, or join it with others.

    Args:
        graph: Canonical graph with shapes.
        context: Not needed.
    """
    if graph.output == JOINED:  # of several outputs, each has its heads
        return graph
    last = graph.producers.get(graph.output)
    if last is not None and last.op == "Concat" and len(set(last.inputs)) > 1:
        return _behind_parts(graph, last)
    node, chain = _before(graph, graph.output)
    if node is None or not chain:
        return graph
    shapes, source, moved = dict(graph.shapes), node.inputs[0], []
    for item in chain:
        output = f"{item.output}/before_{node.op}"
        shapes[output] = shapes[item.output]
        moved.append(replace(item, inputs=(source, *item.inputs[1:]), outputs=(output,)))
        source = output
    head = replace(node, inputs=(source,), outputs=(graph.output,))
    left = [item for item in graph.nodes if item is not node and item not in chain]
    return replace(graph, nodes=[*left, *moved, head], shapes=shapes).only_live()


def _before(graph: Graph, name: str) -> tuple[Node | None, list[Node]]:
    """Find a Sigmoid before nodes that only move its data; None if there is none."""
    chain: list[Node] = []
    while (node := graph.producers.get(name)) is not None and _moves(graph, node):
        chain.insert(0, node)
        name = node.inputs[0]
    alone = name == graph.output or len(graph.consumers[name]) == 1
    return (node if node is not None and node.op == _ELEMENTWISE and alone else None), chain


def _behind_parts(graph: Graph, joint: Node) -> Graph:
    """Join what is before the Sigmoid of some parts, and apply it to these behind.

    Neurons would round scores, and cut off those of classes that were rare in calibration.
    """
    tails = [_before(graph, name) for name in joint.inputs]
    if not any(node for node, _ in tails) or set(joint.inputs) & graph.constants.keys():
        return graph
    builder = Builder(f"{graph.output}/heads", graph.names)
    shapes, gone = dict(graph.shapes), {joint.output}
    before = []
    for name, (node, chain) in zip(joint.inputs, tails, strict=True):
        source = name if node is None else node.inputs[0]
        for item in chain if node else ():
            source = builder.add(
                replace(item, inputs=(source, *item.inputs[1:]), outputs=(f"{item.output}/logits",))
            )
            shapes[source] = shapes[item.output]
        gone |= {item.output for item in (node, *chain) if node and item}
        before.append(source)
    axis = joint.attributes["axis"] % (len(shapes[graph.output]) + 1)
    logits = builder.emit("Concat", *before, output=f"{graph.output}/logits", axis=axis)
    shapes[logits] = shapes[graph.output]
    start, parts = 0, []
    for name, (node, _) in zip(joint.inputs, tails, strict=True):
        end = start + shapes[name][axis - 1]
        bounds = (np.array([value], np.int64) for value in (start, end, axis, 1))
        part = builder.emit("Slice", logits, *bounds)
        shapes[part], start = shapes[name], end
        if node is not None:
            part = builder.add(replace(node, inputs=(part,), outputs=(f"{name}/behind",)))
            shapes[part] = shapes[name]
        parts.append(part)
    builder.add(replace(joint, inputs=tuple(parts), attributes={"axis": axis}))
    left = [item for item in graph.nodes if item.output not in gone]
    return graph.rewritten([*left, *builder.nodes], builder.constants, shapes=shapes).only_live()


def _moves(graph: Graph, node: Node) -> bool:
    """Whether a node only moves the data of one tensor that nothing else reads."""
    data = [name for name in node.inputs if name and name not in graph.constants]
    alone = node.output == graph.output or len(graph.consumers[node.output]) == 1
    return kind_of(node) == "data movement" and len(data) == 1 and alone
