"""Several outputs as one readout, whose parts are told apart, and get their heads, behind it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2genn.frontend.context import Context
from onnx2genn.frontend.outputs import JOINED, joined_tensors
from onnx2genn.frontend.partition import strip_heads
from onnx2genn.frontend.passes.heads import sink_heads
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Graph, Node, Shape
from onnx2genn.ir.outputs import READOUT


def separate_heads(graph: Graph, context: Context) -> Graph:
    """Bring the heads of all outputs behind the point where the outputs are joined.

    What is joined then are the logits. Slices of them, with the heads, have the names of the
    model's outputs; a tensor within the network that had such a name gets another one.

    Args:
        graph: Canonical graph with shapes, of one output, or of several that are joined.
        context: Has the names of the outputs.
    """
    if graph.output != JOINED:
        return graph
    branches = [
        sink_heads(replace(graph, output=name).only_live(), context)
        for name in joined_tensors(graph)
    ]
    nodes: dict[str, Node] = {}
    constants: dict[str, np.ndarray] = {}
    shapes: dict[str, Shape] = {}
    for branch in branches:
        for node in branch.nodes:
            nodes.setdefault(node.output, node)
        constants |= branch.constants
        shapes = {**branch.shapes, **shapes}
    written = {name for node in nodes.values() for name in node.outputs}
    names = {name: f"{name}/within" for name in context.outputs if name in written}
    builder = Builder(READOUT, {*graph.inputs, *constants, *nodes, *names.values()})
    called: set[str] = set()
    for node in nodes.values():
        # A head that was moved for one output may be where it was for another.
        label = node.name if node.name not in called else f"{node.name}/{node.output}"
        called.add(label)
        builder.add(replace(node.renamed(names), name=label))
    shapes = {names.get(name, name): shape for name, shape in shapes.items()}
    tails = [strip_heads(branch) for branch in branches]
    logits = [names.get(name, name) for name, _ in tails]
    places = _join(builder, logits, shapes)
    for output, branch, (start, heads) in zip(context.outputs, branches, tails, strict=True):
        place, shape = places[names.get(start, start)], branch.shapes[start]
        follow = [node for node in branch.nodes if node.output in heads]
        source = _part(builder, place, shape, None if follow else output, shapes)
        renamed = {start: source, branch.output: output}
        made = [name for node in follow for name in node.outputs if name != branch.output]
        renamed |= {name: f"{READOUT}/{output}/{name}" for name in made}
        for node in follow:
            name = f"{READOUT}/{output}/{node.name}"
            builder.add(replace(node.renamed(renamed), name=name))
            shapes[renamed[node.output]] = branch.shapes[node.output]
    found = graph.rewritten(
        builder.nodes,
        {**constants, **builder.constants},
        output=context.outputs[0],
        further=context.outputs[1:],
        shapes=shapes,
    )
    return found.only_live()


def _join(
    builder: Builder, logits: list[str], shapes: dict[str, Shape]
) -> dict[str, tuple[int, int]]:
    """Write the readout; return where each tensor is in it. One of two outputs is there once."""
    places: dict[str, tuple[int, int]] = {}
    flat, start = [], 0
    for name in dict.fromkeys(logits):
        shape = shapes[name]
        size = int(np.prod(shape))
        places[name] = (start, start + size)
        start += size
        if len(shape) != 1:
            name = builder.emit("Reshape", name, np.array([0, size], np.int64))
            shapes[name] = (size,)
        flat.append(name)
    if len(flat) == 1:
        builder.emit("Identity", flat[0], output=READOUT)
    else:
        builder.emit("Concat", *flat, output=READOUT, axis=1)
    shapes[READOUT] = (start,)
    return places


def _part(
    builder: Builder,
    place: tuple[int, int],
    shape: Shape,
    output: str | None,
    shapes: dict[str, Shape],
) -> str:
    """Write the slice of the readout that holds an output's logits."""
    start, end = place
    name = f"{READOUT}/{output}" if output else None
    bounds = (np.array([value], np.int64) for value in (start, end, 1, 1))
    if len(shape) == 1:
        found = builder.emit("Slice", READOUT, *bounds, output=output, name=name)
    else:
        part = builder.emit("Slice", READOUT, *bounds)
        shapes[part] = (end - start,)
        target = np.array([0, *shape], np.int64)
        found = builder.emit("Reshape", part, target, output=output, name=name)
    shapes[found] = shape
    return found
