"""Branches whose condition no sample can change: the one that is taken becomes part of the graph.

Exporters write If for what they do not know while they trace: whether an axis has size 1, whether
a state is given. The file at its sizes knows. A condition is computed by onnxruntime at two batch
sizes, and has to be the same at both.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import helper

from onnx2genn.frontend.file import InputShape
from onnx2genn.frontend.probe import READS_SHAPE_ONLY
from onnx2genn.frontend.subgraphs import (
    ancestors,
    free,
    free_names,
    graphs_of,
    names_of,
    renamed,
    values,
    with_nodes,
)

_IF = "If"


def take_branches(
    proto: onnx.ModelProto, output: str, input_shape: InputShape | None = None
) -> onnx.ModelProto:
    """Write in place of each If the branch that it takes, where no sample can change that.

    Args:
        proto: The model, functions inlined; it stays as it is.
        output: Name of the output whose conditions are of interest.
        input_shape: Shape of one sample, where the model leaves it open; of several inputs by name.
    """
    while any(node.op_type == _IF for node in proto.graph.node):
        chosen = _conditions(proto, output)
        known = values(proto, chosen, input_shape) if chosen else {}
        if not known:
            break
        taken = names_of(proto.graph)
        written: dict[int, onnx.GraphProto] = {}
        for index, node in enumerate(proto.graph.node):
            if node.op_type == _IF and node.input[0] in known:
                holds = bool(np.asarray(known[node.input[0]]).flat[0])
                written[index] = _written(node, holds=holds, taken=taken)
                taken |= names_of(written[index])
        proto = with_nodes(proto, written)
    return proto


def _conditions(proto: onnx.ModelProto, output: str) -> list[str]:
    """List the conditions that only shapes and constants decide, and no other branch before."""
    needed = {node.output[0] for node in ancestors(proto.graph.node, [output])}
    fixed = {item.name for item in proto.graph.initializer}
    unsure: set[str] = set()
    found = []
    for node in proto.graph.node:
        read = free_names(node)
        if unsure & read or (graphs_of(node) and not read <= fixed):
            unsure.update(node.output)
        if node.op_type == _IF and node.output[0] in needed and node.input[0] in fixed - unsure:
            found.append(node.input[0])
        varies = node.op_type.startswith("Random")
        if node.op_type in READS_SHAPE_ONLY or (read <= fixed and not varies):
            fixed.update(node.output)
    return list(dict.fromkeys(found))


def _written(node: onnx.NodeProto, *, holds: bool, taken: Collection[str]) -> onnx.GraphProto:
    """Return the nodes and constants of a branch, under names that nothing else has."""
    wanted = "then_branch" if holds else "else_branch"
    (branch,) = (item.g for item in node.attribute if item.name == wanted)
    scope = node.name or node.output[0]
    names = {name: free(f"{scope}/{name}", taken) for name in names_of(branch) if name in taken}
    names.pop("", None)
    found = onnx.GraphProto()
    found.node.extend(renamed(branch.node, names))
    found.initializer.extend(branch.initializer)
    for tensor in found.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    found.node.extend(
        helper.make_node("Identity", [names.get(item.name, item.name)], [name], name=name)
        for item, name in zip(branch.output, node.output, strict=True)
        if name
    )
    return found
