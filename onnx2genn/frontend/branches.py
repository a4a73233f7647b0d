"""Branches whose condition no sample can change: the one that is taken becomes part of the graph.

Exporters write If for what they do not know while they trace: whether an axis has size 1, whether
a state is given. The file at its sizes knows. A condition is computed by onnxruntime at two batch
sizes, and has to be the same at both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import onnx
from onnx import helper

from onnx2genn.errors import UnsupportedModelError
from onnx2genn.frontend.file import InputShape
from onnx2genn.frontend.probe import BATCHES, READS_SHAPE_ONLY
from onnx2genn.ir.run import Runner

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
    known: dict[str, bool] = {}
    while any(node.op_type == _IF for node in proto.graph.node):
        chosen = _conditions(proto, output)
        known = _values(proto, chosen, input_shape) if chosen else {}
        if not known:
            break
        proto = _with_taken(proto, known)
    return proto


def free_names(node: onnx.NodeProto) -> set[str]:
    """Return all that a node reads of the graph around it, in its branches, too."""
    found = set(filter(None, node.input))
    for graph in _graphs(node):
        made = {name for item in graph.node for name in item.output}
        made.update(item.name for item in (*graph.initializer, *graph.input))
        read = {name for item in graph.node for name in free_names(item)}
        read.update(item.name for item in graph.output)
        found |= read - made
    return found


def _graphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [
        graph
        for attribute in node.attribute
        for graph in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs)
    ]


def _conditions(proto: onnx.ModelProto, output: str) -> list[str]:
    """List the conditions that only shapes and constants decide, and no other branch before."""
    needed = {node.output[0] for node in ancestors(proto.graph.node, [output])}
    fixed = {item.name for item in proto.graph.initializer}
    unsure: set[str] = set()
    found = []
    for node in proto.graph.node:
        read = free_names(node)
        if unsure & read or (_graphs(node) and not read <= fixed):
            unsure.update(node.output)
        if node.op_type == _IF and node.output[0] in needed and node.input[0] in fixed - unsure:
            found.append(node.input[0])
        varies = node.op_type.startswith("Random")
        if node.op_type in READS_SHAPE_ONLY or (read <= fixed and not varies):
            fixed.update(node.output)
    return list(dict.fromkeys(found))


def ancestors(nodes: Sequence[onnx.NodeProto], names: Collection[str]) -> list[onnx.NodeProto]:
    """Keep the nodes that lead to some tensors, in their order."""
    needed, kept = set(names), []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed |= free_names(node)
    return kept[::-1]


def _values(
    proto: onnx.ModelProto, names: Sequence[str], input_shape: InputShape | None
) -> dict[str, bool]:
    """Compute conditions; those that are not the same at two batch sizes are left out."""
    part = _leading_to(proto, names)
    shapes = {info.name: _sizes(info, input_shape) for info in part.graph.input}
    if any(sizes.count(None) > 1 for sizes in shapes.values()):  # what is open will be said
        return {}
    fixed = [size for sizes in shapes.values() if None not in sizes for size in sizes[:1] if size]
    runs = []
    for batch in fixed[:1] or BATCHES:
        feeds = {
            info.name: np.zeros(
                [size or batch for size in shapes[info.name]],
                helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type),
            )
            for info in part.graph.input
        }
        try:
            values = Runner(part, optimise=False)(feeds)
        except UnsupportedModelError:  # what is wrong will be said
            return {}
        runs.append({name: bool(np.asarray(value).flat[0]) for name, value in values.items()})
    found = {name: {run[name] for run in runs} for name in names}
    return {name: values.pop() for name, values in found.items() if len(values) == 1}


def _leading_to(proto: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """Return the part of a model that computes some tensors."""
    nodes = ancestors(proto.graph.node, names)
    read = set(names).union(*(free_names(node) for node in nodes))
    fixed = [item for item in proto.graph.initializer if item.name in read]
    given = read - {item.name for item in fixed}
    graph = helper.make_graph(
        nodes,
        "conditions",
        [info for info in proto.graph.input if info.name in given],
        [helper.make_empty_tensor_value_info(name) for name in names],
        fixed,
    )
    return helper.make_model(
        graph, opset_imports=proto.opset_import, ir_version=proto.ir_version or None
    )


def _sizes(info: onnx.ValueInfoProto, input_shape: InputShape | None) -> list[int | None]:
    """Return the sizes of an input, None for what is open, as the batch is."""
    dims = info.type.tensor_type.shape.dim
    sizes = [dim.dim_value if dim.dim_value > 0 else None for dim in dims]
    given = input_shape.get(info.name) if isinstance(input_shape, Mapping) else input_shape
    if given is not None and len(given) == len(sizes) - 1:
        sizes[1:] = [size or int(other) for size, other in zip(sizes[1:], given, strict=True)]
    return sizes


def _with_taken(proto: onnx.ModelProto, known: Mapping[str, bool]) -> onnx.ModelProto:
    """Write the branches that known conditions take."""
    found = onnx.ModelProto()
    found.CopyFrom(proto)
    del found.graph.node[:]
    taken = {name for node in proto.graph.node for name in node.output}
    taken.update(item.name for item in (*proto.graph.initializer, *proto.graph.input))
    for node in proto.graph.node:
        if node.op_type != _IF or node.input[0] not in known:
            found.graph.node.append(node)
            continue
        wanted = "then_branch" if known[node.input[0]] else "else_branch"
        (branch,) = (item.g for item in node.attribute if item.name == wanted)
        nodes, constants = _written(node, branch, taken)
        found.graph.node.extend(nodes)
        found.graph.initializer.extend(constants)
        taken.update(name for item in nodes for name in item.output)
        taken.update(item.name for item in constants)
    return found


def _written(
    node: onnx.NodeProto, branch: onnx.GraphProto, taken: Collection[str]
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Return the nodes and constants of a branch, under names that nothing else has."""
    inner = [name for item in branch.node for name in item.output if name]
    inner += [item.name for item in branch.initializer]
    scope = node.name or node.output[0]
    names = {name: _free(f"{scope}/{name}", taken) for name in inner if name in taken}
    nodes, constants = [], []
    for item in branch.node:
        nodes.append(onnx.NodeProto())
        nodes[-1].CopyFrom(item)
    for tensor in branch.initializer:
        constants.append(onnx.TensorProto())
        constants[-1].CopyFrom(tensor)
        constants[-1].name = names.get(tensor.name, tensor.name)
    _rename(nodes, names)
    nodes += [
        helper.make_node("Identity", [names.get(item.name, item.name)], [name], name=name)
        for item, name in zip(branch.output, node.output, strict=True)
        if name
    ]
    return nodes, constants


def _free(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _rename(nodes: Iterable[onnx.NodeProto], names: Mapping[str, str]) -> None:
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for graph in _graphs(node):
            _rename(graph.node, names)
            for info in graph.output:
                info.name = names.get(info.name, info.name)
