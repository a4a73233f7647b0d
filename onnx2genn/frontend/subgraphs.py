"""Graphs within nodes: what they read, what of it no sample can change, and how they are written.

A branch or a body may read any tensor of the graphs around it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress

import numpy as np
import onnx
from onnx import helper

from onnx2genn.errors import UnsupportedModelError
from onnx2genn.frontend.file import InputShape
from onnx2genn.frontend.probe import BATCHES, READS_SHAPE_ONLY
from onnx2genn.ir.run import Runner

_CLOSE = 1e-3


def opset_of(proto: onnx.ModelProto) -> int:
    """Return the version of the standard operators."""
    return next(item.version for item in proto.opset_import if item.domain in ("", "ai.onnx"))


def graphs_of(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """List the graphs of a node."""
    return [
        graph
        for attribute in node.attribute
        for graph in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs)
    ]


def free_names(node: onnx.NodeProto) -> set[str]:
    """Return all that a node reads of the graph around it, in its own graphs, too."""
    found = set(filter(None, node.input))
    for graph in graphs_of(node):
        made = {name for item in graph.node for name in item.output}
        made.update(item.name for item in (*graph.initializer, *graph.input))
        read = {name for item in graph.node for name in free_names(item)}
        read.update(item.name for item in graph.output)
        found |= read - made
    return found


def fixed_names(nodes: Iterable[onnx.NodeProto], known: Iterable[str]) -> set[str]:
    """Find the tensors that only shapes and constants decide.

    Args:
        nodes: Nodes in topological order.
        known: Tensors of which that is known.
    """
    fixed = set(known)
    for node in nodes:
        varies = node.op_type.startswith("Random")
        if node.op_type in READS_SHAPE_ONLY or (free_names(node) <= fixed and not varies):
            fixed.update(node.output)
    return fixed


def ancestors(nodes: Sequence[onnx.NodeProto], names: Collection[str]) -> list[onnx.NodeProto]:
    """Keep the nodes that lead to some tensors, in their order."""
    needed, kept = set(names), []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed |= free_names(node)
    return kept[::-1]


def values(
    proto: onnx.ModelProto, names: Sequence[str], input_shape: InputShape | None
) -> dict[str, np.ndarray]:
    """Compute tensors that only shapes and constants decide.

    Args:
        proto: The model.
        names: The tensors; those that are not the same at two batch sizes are left out.
        input_shape: Shape of one sample, where the model leaves it open; of several inputs by name.
    """
    runs = _runs(proto, names, input_shape, np.zeros)
    return {
        name: runs[0][name]
        for name in (names if runs else ())
        if all(np.array_equal(runs[0][name], run[name]) for run in runs[1:])
    }


def differ(
    proto: onnx.ModelProto, other: onnx.ModelProto, name: str, input_shape: InputShape | None
) -> bool:
    """Whether two models that can be run compute another tensor of a name, on random inputs.

    Args:
        proto: A model.
        other: What was made of it.
        name: The tensor.
        input_shape: As for :func:`values`.
    """
    found, wanted = (_runs(item, [name], input_shape, _signed) for item in (other, proto))
    pairs = [(a[name], b[name]) for a, b in zip(found, wanted, strict=False)]
    return any(
        a.shape != b.shape or not np.allclose(a, b, _CLOSE, _CLOSE, equal_nan=True)
        for a, b in pairs
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray)
    )


def _signed(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Draw floats; whole numbers, which may be indices, are 0."""
    drawn = np.random.default_rng(0).uniform(-1, 1, shape)
    return drawn.astype(dtype) if dtype.kind == "f" else np.zeros(shape, dtype)


def _runs(
    proto: onnx.ModelProto,
    names: Sequence[str],
    input_shape: InputShape | None,
    draw: Callable[[Sequence[int], np.dtype], np.ndarray],
) -> list[dict[str, np.ndarray]]:
    """Compute tensors at two batch sizes, or at the one that works; none if all fail."""
    part = _leading_to(proto, names)
    shapes = {info.name: _sizes(info, input_shape) for info in part.graph.input}
    if any(sizes.count(None) > 1 for sizes in shapes.values()):  # what is open will be said
        return []
    fixed = [size for sizes in shapes.values() if None not in sizes for size in sizes[:1] if size]
    try:
        runner = Runner(part, optimise=False)
    except UnsupportedModelError:
        return []
    for sizes in (fixed[:1],) if fixed else (BATCHES, (1,)):
        with suppress(UnsupportedModelError):  # what is wrong will be said
            return [runner(_feeds(part, shapes, size, draw)) for size in sizes]
    return []


def _feeds(
    part: onnx.ModelProto,
    shapes: Mapping[str, Sequence[int | None]],
    batch: int,
    draw: Callable[[Sequence[int], np.dtype], np.ndarray],
) -> dict[str, np.ndarray]:
    return {
        info.name: draw(
            [size or batch for size in shapes[info.name]],
            helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type),
        )
        for info in part.graph.input
    }


def _leading_to(proto: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """Return the part of a model that computes some tensors."""
    nodes = ancestors(proto.graph.node, names)
    read = set(names).union(*(free_names(node) for node in nodes))
    fixed = [item for item in proto.graph.initializer if item.name in read]
    given = read - {item.name for item in fixed}
    graph = helper.make_graph(
        nodes,
        "fixed",
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


def with_nodes(proto: onnx.ModelProto, written: Mapping[int, onnx.GraphProto]) -> onnx.ModelProto:
    """Write the nodes and constants of graphs in place of some nodes.

    Args:
        proto: The model; it stays as it is.
        written: By the place of the node that they replace.
    """
    found = onnx.ModelProto()
    found.CopyFrom(proto)
    del found.graph.node[:]
    for index, node in enumerate(proto.graph.node):
        if index in written:
            found.graph.node.extend(written[index].node)
            found.graph.initializer.extend(written[index].initializer)
        else:
            found.graph.node.append(node)
    return found


def names_of(graph: onnx.GraphProto) -> set[str]:
    """Return the tensors of a graph; not those of graphs within its nodes."""
    found = {name for node in graph.node for name in node.output}
    return found.union(item.name for item in (*graph.initializer, *graph.input))


def free(name: str, taken: Collection[str]) -> str:
    """Return a name that nothing else has."""
    while name in taken:
        name += "_"
    return name


def renamed(nodes: Iterable[onnx.NodeProto], names: Mapping[str, str]) -> list[onnx.NodeProto]:
    """Copy nodes with other names for some tensors."""
    copies = []
    for node in nodes:
        copies.append(onnx.NodeProto())
        copies[-1].CopyFrom(node)
    _rename(copies, names)
    return copies


def _rename(nodes: Iterable[onnx.NodeProto], names: Mapping[str, str]) -> None:
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for graph in graphs_of(node):
            _rename(graph.node, names)
            for info in graph.output:
                info.name = names.get(info.name, info.name)
