"""Sums that neurons collect apart, where onnxruntime computes: without stacking them first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from onnx2genn.ir.functions import PORT
from onnx2genn.ir.graph import Constants, Node, Shape

_BROADCASTING = frozenset({"Add", "Div", "Mul", "Sub"})


def without_stacks(
    nodes: Sequence[Node],
    constants: Constants,
    shapes: Mapping[str, Shape],
    wanted: Collection[str],
) -> list[Node]:
    """Let the functions of neurons read the sums themselves that are stacked for them.

    Neurons that multiply sums collect them in ports, [N, ports, *shape], each repeated to the shape
    of the product. Onnxruntime needs neither: it takes operands apart, and repeats them itself.

    Args:
        nodes: Nodes in topological order. What leads only to a stack is left to be dropped.
        constants: Fixed tensors.
        shapes: Of tensors, the batch axis left out; those that are missing stay stacked.
        wanted: Tensors that keep their names.

    Returns:
        The nodes, functions of neurons written out.
    """
    flat = [item for node in nodes for item in (node.body or (node,))]
    producers = {name: node for node in flat for name in node.outputs}
    names: dict[str, str] = {}
    for node in flat:
        source = _port(node, producers, constants, shapes)
        if source is not None and node.output not in wanted:
            names[node.output] = source
    kept = [node for node in flat if node.output not in names]
    return [_unrepeated(node, names, producers) for node in kept]


def _port(
    node: Node,
    producers: Mapping[str, Node],
    constants: Constants,
    shapes: Mapping[str, Shape],
) -> str | None:
    """Return the sum that a node takes from a stack; None if it does something else."""
    stack = producers.get(node.inputs[0]) if node.op == PORT and node.domain == "" else None
    if stack is None or (stack.op, stack.attributes.get("axis")) != ("Concat", 1):
        return None
    index = constants.get(node.inputs[1])
    if node.attributes.get("axis") != 1 or index is None or index.ndim:
        return None
    stacked = [producers.get(name) for name in stack.inputs]
    if not all(item is not None and _adds_an_axis(item, constants, shapes) for item in stacked):
        return None
    chosen = stacked[int(index)]
    return chosen.inputs[0] if chosen is not None else None


def _adds_an_axis(node: Node, constants: Constants, shapes: Mapping[str, Shape]) -> bool:
    """Whether a node makes [N, 1, *shape] of [N, *shape]."""
    shape = constants.get(node.inputs[1]) if node.op == "Reshape" else None
    before = shapes.get(node.inputs[0])
    return shape is not None and before is not None and shape.tolist() == [0, 1, *before]


def _unrepeated(node: Node, names: Mapping[str, str], producers: Mapping[str, Node]) -> Node:
    """Let a node read sums, and those that are repeated as they are where another is not."""
    read = {name: names[name] for name in node.inputs if name in names}
    if node.op in _BROADCASTING and len(read) == len(node.inputs):
        origins = {name: producers.get(source) for name, source in read.items()}
        repeated = {
            name: item.inputs[0]
            for name, item in origins.items()
            if item is not None and item.op == "Expand"
        }
        if len(repeated) < len(read):
            read |= repeated
    return replace(node, inputs=tuple(read.get(name, name) for name in node.inputs))
