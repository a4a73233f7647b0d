"""Sequences have the time first in most files, and samples first here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from onnx2genn.errors import UnsupportedModelError
from onnx2genn.frontend.context import Context
from onnx2genn.frontend.outputs import JOINED, joined_tensors
from onnx2genn.frontend.passes.recurrent.cells import KINDS, is_recurrent
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Graph, Node

# Inputs of a recurrent operator that have a batch axis other than the first: X and the states.
_SEQUENCES = (0, 5, 6)
_OPERATORS = {*KINDS, "DynamicQuantizeLSTM"}
_KEEP_AXES = frozenset(
    {
        *("Add", "Cast", "Clip", "Div", "Dropout", "Identity", "MatMul", "Mul", "Relu", "Slice"),
        *("Split", "Sub", "Tanh"),
    }
)


def time_first_inputs(nodes: Sequence[Node]) -> set[str]:
    """Find the tensors whose second axis is the batch, since a recurrent operator reads them.

    Args:
        nodes: Nodes in topological order.
    """
    found: set[str] = set()
    for node in reversed(nodes):
        if node.op in _OPERATORS and not node.attributes.get("layout", 0):
            found |= {name for name in node.inputs[:1] + node.inputs[5:7] if name}
        elif node.op in _KEEP_AXES and found.intersection(node.outputs):
            found |= set(node.inputs)
    return found


def settle_layout(graph: Graph, context: Context) -> Graph:
    """Write recurrent operators with the time first, and the output with the batch first.

    Args:
        graph: Graph in its own operators.
        context: How it may be run.

    Returns:
        The graph; its output is a Transpose of the file's where that has the batch elsewhere.
    """
    if not any(map(_may_move_batch, graph.nodes)):
        return graph
    builder = Builder("layout", graph.names)
    for node in graph.nodes:
        if is_recurrent(node) and node.attributes.get("layout", 0):
            _write_time_first(builder, node)
        else:
            builder.add(node)
    if builder.nodes != graph.nodes:
        graph = graph.rewritten(builder.nodes, builder.constants)
    if graph.output == JOINED:
        return _joined_with_batch_first(graph, context)
    axis = _batch_axis(graph, context, graph.output)
    return graph if axis is None else _with_batch_first(graph, *axis)


def _may_move_batch(node: Node) -> bool:
    """Whether a node is of a sequence with the time first, or may have made or turned one."""
    turns = node.op == "Transpose" and list(node.attributes.get("perm", [1]))[:1] != [0]
    return turns or node.op == "Unsqueeze" or node.op in _OPERATORS


def _write_time_first(builder: Builder, node: Node) -> None:
    """Write a node of layout 1, which onnxruntime does not run, with those of layout 0."""
    inputs = list(node.inputs)
    for index in _SEQUENCES:
        if index < len(inputs) and inputs[index]:
            inputs[index] = builder.emit("Transpose", inputs[index], perm=[1, 0, 2])
    outputs = [name and f"{name}/time_first" for name in node.outputs]
    attributes = {key: value for key, value in node.attributes.items() if key != "layout"}
    builder.add(replace(node, inputs=tuple(inputs), outputs=tuple(outputs), attributes=attributes))
    for index, (source, name) in enumerate(zip(outputs, node.outputs, strict=True)):
        if name:
            perm = [1, 0, 2] if index else [2, 0, 1, 3]
            builder.emit("Transpose", source, output=name, name=name, perm=perm)


def _joined_with_batch_first(graph: Graph, context: Context) -> Graph:
    """Transpose each of several outputs that has the batch elsewhere, before they are joined."""
    # Joined as they are, they do not fit each other.
    apart = replace(graph, nodes=[node for node in graph.nodes if node.output != JOINED])
    builder = Builder("layout/outputs", graph.names)
    names, notes = {}, list(graph.notes)
    for name in dict.fromkeys(joined_tensors(graph)):
        axis = _batch_axis(apart, context, name)
        if axis is not None:
            names[name] = f"{name}/as_written"
            perm = _batch_to_front(*axis)
            builder.emit("Transpose", names[name], output=name, name=f"{name}/front", perm=perm)
            notes.append(_note(name, axis[0]))
    within = [node for node in graph.nodes if not node.output.startswith(JOINED)]
    joining = [node for node in graph.nodes if node.output.startswith(JOINED)]
    nodes = [*(node.renamed(names) for node in within), *builder.nodes, *joining]
    return graph.rewritten(nodes, notes=notes)


def _batch_axis(graph: Graph, context: Context, output: str) -> tuple[int, int] | None:
    """Find which axis of an output is the batch, of how many; None if it is the first."""
    sizes = context.batches if context.batch is None else (context.batch,)
    try:
        shapes = [context.trial(graph, size).shapes[output] for size in sizes]
    except UnsupportedModelError:
        return None
    found = [
        axis
        for axis in range(len(shapes[0]))
        if tuple(shape[axis] for shape in shapes) == tuple(sizes)
    ]
    return (found[-1], len(shapes[0])) if found and found[0] != 0 else None


def _with_batch_first(graph: Graph, axis: int, rank: int) -> Graph:
    perm = _batch_to_front(axis, rank)
    builder = Builder(graph.output, graph.names)
    output = builder.emit(
        "Transpose", graph.output, output=f"{graph.output}/samples_first", perm=perm
    )
    notes = [*graph.notes, _note(graph.output, axis)]
    return graph.rewritten([*graph.nodes, *builder.nodes], output=output, notes=notes)


def _batch_to_front(axis: int, rank: int) -> list[int]:
    return [axis, *(other for other in range(rank) if other != axis)]


def _note(output: str, axis: int) -> str:
    return f"Output {output!r} has the batch as its axis {axis}; here it is the first."
