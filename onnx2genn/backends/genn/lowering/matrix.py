"""The linear part of an affine segment as one sparse matrix, composed operator by operator.

This way knows every affine operator: what has no rule of its own is probed with unit vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from scipy import sparse

from onnx2genn.backends.genn.memory import require
from onnx2genn.ir.graph import Node, Shape, to_onnx
from onnx2genn.ir.registry import entry_of
from onnx2genn.ir.run import Runner
from onnx2genn.ir.segment import Segment

# A value and an index while a matrix is being composed.
_BYTES = 12
_PROBES = 256

Maps = Mapping[str, sparse.csr_array]


def compose(segment: Segment, source: str) -> sparse.csr_array:
    """Return A of ``f(x) = A x + b`` for one source of a segment, the others being zero.

    Args:
        segment: Affine map.
        source: One of its sources.

    Returns:
        Matrix, float64 [elements of the target, elements of the source], in the order of elements
        of the ONNX tensors.

    Raises:
        BackendError: The matrix would not fit into memory.
    """
    maps = {source: sparse.eye_array(_size(segment.shapes[source]), format="csr")}
    for node in segment.nodes:
        if not any(name in maps for name in node.inputs):
            continue
        rule = _RULES.get(node.op, _moved if entry_of(node).moves else _probed)
        maps[node.output] = rule(segment, node, maps)
    matrix = maps[segment.target]
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def windows(segment: Segment, pool: Node) -> sparse.csr_array:
    """Return which elements a pooling reads, as ones.

    Args:
        segment: Segment whose target the pooling reads.
        pool: The pooling, with all its attributes.

    Returns:
        Matrix [outputs times K, elements of the target]: row n K + k is the k-th of the K elements
        in the window of output n; zero where that lies at a border.
    """
    taps = int(np.prod(pool.attributes["kernel_shape"]))
    output, source, tap = _windows(segment, pool, pool.attributes["kernel_shape"])
    channels = np.arange(segment.shapes[pool.output][0])[:, None]
    rows = (channels * _plane(segment, pool.output) + output) * taps + tap
    columns = channels * _plane(segment, pool.inputs[0]) + source
    shape = (_size(segment.shapes[pool.output]) * taps, _size(segment.shapes[pool.inputs[0]]))
    entries = (np.ones(rows.size), (rows.ravel(), columns.ravel()))
    return sparse.coo_array(entries, shape=shape).tocsr()


def _size(shape: Shape) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _broadcast(
    segment: Segment, node: Node, name: str, matrix: sparse.csr_array
) -> sparse.csr_array:
    """Repeat the rows of an operand as broadcasting repeats its elements."""
    shape, output = segment.shapes[name], segment.shapes[node.output]
    if shape == output:
        return matrix
    rows = np.arange(_size(shape)).reshape((1,) * (len(output) - len(shape)) + shape)
    return matrix[np.broadcast_to(rows, output).ravel()]


def _added(segment: Segment, node: Node, maps: Maps) -> sparse.csr_array:
    parts = [_broadcast(segment, node, name, maps[name]) for name in node.inputs if name in maps]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total.tocsr()


def _multiplied(segment: Segment, node: Node, maps: Maps) -> sparse.csr_array:
    variable, constant = node.inputs
    if variable not in maps:
        variable, constant = constant, variable
    factor = np.broadcast_to(
        segment.constants[constant].astype(np.float64), (1, *segment.shapes[node.output])
    )
    matrix = _broadcast(segment, node, variable, maps[variable])
    return (sparse.diags_array(factor.ravel()) @ matrix).tocsr()


def _matmul(segment: Segment, node: Node, maps: Maps) -> sparse.csr_array:
    weight = segment.constants[node.inputs[1]].astype(np.float64)
    rows = _size(segment.shapes[node.output]) // weight.shape[1]
    require(f"{node.op} {node.name!r} as a sparse matrix", rows * weight.size * _BYTES)
    local = sparse.kron(sparse.eye_array(rows), sparse.csr_array(weight.T), format="csr")
    return local @ maps[node.inputs[0]]


def _convolved(segment: Segment, node: Node, maps: Maps) -> sparse.csr_array:
    weight = segment.constants[node.inputs[1]].astype(np.float64)
    target, source, tap = _windows(segment, node, weight.shape[2:])
    outputs, fan_in, group = weight.shape[0], weight.shape[1], node.attributes.get("group", 1)
    require(f"{node.op} {node.name!r} as a sparse matrix", outputs * fan_in * len(tap) * _BYTES)
    inputs = np.arange(fan_in) + fan_in * (np.arange(outputs) // (outputs // group))[:, None]
    return (
        _matrix(
            segment,
            node,
            np.arange(outputs)[:, None, None] * _plane(segment, node.output) + target,
            inputs[:, :, None] * _plane(segment, node.inputs[0]) + source,
            weight.reshape(outputs, fan_in, -1)[:, :, tap],
        )
        @ maps[node.inputs[0]]
    )


def _averaged(segment: Segment, node: Node, maps: Maps) -> sparse.csr_array:
    """Mean over windows; how many elements each divides by is read off from onnxruntime."""
    target, source, _ = _windows(segment, node, node.attributes["kernel_shape"])
    ones = np.ones((1, 1, *segment.shapes[node.inputs[0]][1:]), np.float32)
    shape = (1, *segment.shapes[node.inputs[0]][1:])
    plane = {**segment.shapes, node.inputs[0]: shape}
    mean = _alone(node, {}, plane)({node.inputs[0]: ones})[node.output]
    inside = np.bincount(target, minlength=mean.size)
    count = np.rint(inside / np.where(inside > 0, mean.ravel(), 1.0))
    channels = np.arange(segment.shapes[node.output][0])[:, None]
    return (
        _matrix(
            segment,
            node,
            channels * _plane(segment, node.output) + target,
            channels * _plane(segment, node.inputs[0]) + source,
            1.0 / count[target],
        )
        @ maps[node.inputs[0]]
    )


def _windows(
    segment: Segment, node: Node, kernel: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which element of the target's plane reads which of the source's by which tap."""
    attributes = node.attributes
    target = source = tap = np.zeros(1, np.int64)
    sizes = zip(segment.shapes[node.inputs[0]][1:], segment.shapes[node.output][1:], strict=True)
    for axis, (size, outputs) in enumerate(sizes):
        at, k = np.meshgrid(np.arange(outputs), np.arange(kernel[axis]), indexing="ij")
        read = at * attributes["strides"][axis] + k * attributes["dilations"][axis]
        read = read - attributes["pads"][axis]
        valid = (read >= 0) & (read < size)
        target = (target[:, None] * outputs + at[valid]).ravel()
        source = (source[:, None] * size + read[valid]).ravel()
        tap = (tap[:, None] * kernel[axis] + k[valid]).ravel()
    return target, source, tap


def _plane(segment: Segment, name: str) -> int:
    return _size(segment.shapes[name][1:])


def _matrix(
    segment: Segment, node: Node, rows: np.ndarray, columns: np.ndarray, values: np.ndarray
) -> sparse.csr_array:
    rows, columns, values = np.broadcast_arrays(rows, columns, values)
    shape = (_size(segment.shapes[node.output]), _size(segment.shapes[node.inputs[0]]))
    entries = (values.ravel(), (rows.ravel(), columns.ravel()))
    return sparse.coo_array(entries, shape=shape).tocsr()


def _reduced(segment: Segment, node: Node, maps: Maps) -> sparse.csr_array:
    shape = segment.shapes[node.inputs[0]]
    axes = [int(axis) - 1 for axis in segment.constants[node.inputs[1]]]
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    rows = np.broadcast_to(np.arange(_size(kept)).reshape(kept), shape)
    scale = 1.0 if node.op == "ReduceSum" else _size(kept) / _size(shape)
    return (
        _matrix(segment, node, rows, np.arange(rows.size).reshape(shape), np.array(scale))
        @ (maps[node.inputs[0]])
    )


def _moved(segment: Segment, node: Node, maps: Maps) -> sparse.csr_array:
    """Run an operator that only moves data on the numbers of the elements; 0 is a zero."""
    sources = [name for name in dict.fromkeys(node.inputs) if name in segment.shapes]
    columns = maps[next(name for name in sources if name in maps)].shape[1]
    feeds, blocks, first = {}, [sparse.csr_array((1, columns))], 1
    for name in sources:
        shape = segment.shapes[name]
        feeds[name] = np.zeros((1, *shape), np.int64)
        if name in maps:
            feeds[name] = np.arange(first, first + _size(shape)).reshape(1, *shape)
            blocks.append(maps[name])
            first += _size(shape)
    runner = _alone(node, segment.constants, segment.shapes, onnx.TensorProto.INT64)
    order = runner(feeds)[node.output]
    return sparse.vstack(blocks, format="csr")[order.ravel()]


def _probed(segment: Segment, node: Node, maps: Maps) -> sparse.csr_array:
    """Send unit vectors through an operator that has no rule of its own."""
    runner = _alone(node, segment.constants, segment.shapes)
    sources = [name for name in dict.fromkeys(node.inputs) if name in segment.shapes]
    zeros = {name: np.zeros((1, *segment.shapes[name]), np.float32) for name in sources}
    base = runner(zeros)[node.output]
    columns = next(maps[name] for name in sources if name in maps).shape[1]
    total = sparse.csr_array((_size(segment.shapes[node.output]), columns))
    for name in [name for name in sources if name in maps]:
        size, blocks = _size(segment.shapes[name]), []
        for start in range(0, size, _PROBES):
            units = np.eye(size, dtype=np.float32)[start : start + _PROBES]
            feeds = {key: np.repeat(value, len(units), axis=0) for key, value in zeros.items()} | {
                name: units.reshape(-1, *segment.shapes[name])
            }
            answer = runner(feeds)[node.output] - base
            blocks.append(sparse.csr_array(answer.reshape(len(units), -1).astype(np.float64)))
        total = total + sparse.vstack(blocks, format="csr").T @ maps[name]
    return total.tocsr()


def _alone(
    node: Node,
    constants: Mapping[str, np.ndarray],
    shapes: Mapping[str, Shape],
    kind: int = onnx.TensorProto.FLOAT,
) -> Runner:
    """Make a model of one node, ready to run."""
    sources = {name: shapes[name] for name in node.inputs if name in shapes}
    used = {name: constants[name] for name in node.inputs if name in constants}
    types = dict.fromkeys(sources, kind)
    return Runner(to_onnx([node], used, sources, {node.output: None}, input_types=types))


_RULES: dict[str, Callable[[Segment, Node, Maps], sparse.csr_array]] = {
    "Add": _added,
    "AveragePool": _averaged,
    "Conv": _convolved,
    "MatMul": _matmul,
    "Mul": _multiplied,
    "ReduceMean": _reduced,
    "ReduceSum": _reduced,
}
