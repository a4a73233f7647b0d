"""Bring the batch back to the first axis, where a model moves or merges it on the way.

PyTorch's attention transposes to [length, batch, features], and merges batch and heads to one axis
for its products; linear layers merge batch and length. Samples still do not mix. So each such
tensor T is written as T', which is T with the batch taken out of its place and put first::

    T [..., outer * batch * inner, ...]    T' [batch, ..., outer * inner, ...]

In memory, what is before and after the batch keeps its order: a Reshape of T is one of T'. All
axes of T, counted from the last, are those of T'; so most operators stay as they are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2genn.errors import UnsupportedModelError
from onnx2genn.frontend.context import Context
from onnx2genn.frontend.passes.batch_mover import FIRST, BatchMover, Lost, Place, Rule
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.registry import entry_of

_BATCH = 2
_MATRIX = 2  # axes
_AXES_OF_PAD = 2  # the place of this input behind the data


def lead_with_batch(graph: Graph, context: Context) -> Graph:
    """Write the nodes whose tensors do not have the batch as their first axis with it.

    Args:
        graph: Graph in its own operators.
        context: How it may be run; learns where samples could not be followed.

    Returns:
        The graph, in which tensors that have the batch first keep their names; the same graph if
        nothing can be done.
    """
    size = context.batch or _BATCH
    node = None
    try:
        mover = BatchMover(graph, context.trial(graph, size))
        for node in graph.nodes:
            rule = _RULES.get(node.op, _elementwise if entry_of(node).elementwise else None)
            moves = rule in (_reshape, _transpose)
            mover.move(node, rule, always=moves, broadcasts=rule is _elementwise)
    except (Lost, UnsupportedModelError):
        context.stuck = node
        return graph
    if not mover.moved or mover.places[graph.output] != FIRST:
        return graph
    return graph.rewritten(mover.nodes, mover.constants).only_live()


def _reshape(mover: BatchMover, node: Node, place: Place) -> Place:
    """Reshape, Flatten, Squeeze, Unsqueeze."""
    source = node.inputs[0]
    after = mover.find(place, mover.shape(source), mover.shape(node.output))
    target = np.array([0, *mover.without_batch(node.output, after)], np.int64)
    shape = mover.store(target, f"{node.output}/open_shape")
    mover.add(replace(node, op="Reshape", inputs=(source, shape), attributes={}))
    return after


def _transpose(mover: BatchMover, node: Node, place: Place) -> Place:
    rank = len(mover.shape(node.output))
    perm = list(node.attributes.get("perm", range(rank)[::-1]))
    after = replace(place, axis=perm.index(place.axis))
    source = node.inputs[0]
    if place == FIRST:  # T' of it is T with one axis more.
        size = np.array([0, 1, *mover.shape(source)[1:]], np.int64)
        source = mover.emit("Reshape", source, size)
    turned = [0, *(1 + axis for axis in perm)]
    mover.add(replace(node, inputs=(source,), attributes={"perm": turned}))
    return after


def _elementwise(mover: BatchMover, node: Node, place: Place) -> Place:
    """Operators that broadcast: constants must be equal for all samples."""
    rank = len(mover.shape(node.output))
    places = {
        replace(own, axis=own.axis + rank - len(mover.shape(name)))
        for name in mover.data(node)
        if (own := mover.places[name])
    }
    if len(places) > 1 or not all(0 <= item.axis < rank for item in places):
        raise Lost
    (after,) = places
    inputs = [name and _beside(mover, name, after.axis - rank, rank) for name in node.inputs]
    mover.add(replace(node, inputs=tuple(inputs)))
    return after


def _beside(mover: BatchMover, name: str, axis: int, rank: int) -> str:
    """Write an operand as it broadcasts with others, which have the batch in an axis from the end.

    A tensor of fewer axes gets those that it lacks; of a constant, one sample's part is taken.
    """
    shape = mover.shape(name)
    if name in mover.places:
        if len(shape) == rank:
            return name
        lacking = [1] * (rank - len(shape))
        own = mover.without_batch(name, mover.places[name])
        return mover.emit("Reshape", name, np.array([0, *lacking, *own], np.int64))
    if -axis > len(shape) or shape[axis] == 1:
        return name
    one = mover.value(name).take([0], axis=axis)
    if (mover.value(name) != one).any():
        raise Lost
    return mover.store(one, f"{name}/of_one_sample")


def _along_axis(mover: BatchMover, node: Node, place: Place) -> Place:
    """Operators along one axis, which is not that of the batch."""
    rank = len(mover.shape(node.inputs[0]))
    axis = node.attributes.get("axis", _DEFAULT_AXES[node.op]) % rank - rank
    if len(mover.data(node)) < len(_arrays(node)):
        raise Lost
    mover.refuse(
        axis + rank == place.axis,
        node.op == "LayerNormalization" and axis + rank <= place.axis,
    )
    mover.add(replace(node, attributes={**node.attributes, "axis": axis}))
    return place


def _arrays(node: Node) -> tuple[str, ...]:
    """Inputs that are data, and not indices or weights."""
    return node.inputs if node.op == "Concat" else node.inputs[:1]


def _gather(mover: BatchMover, node: Node, place: Place) -> Place:
    rank = len(mover.shape(node.inputs[0]))
    axis = node.attributes.get("axis", 0) % rank
    added = mover.value(node.inputs[1]).ndim - 1
    if node.inputs[0] not in mover.places:
        raise Lost
    mover.refuse(axis == place.axis)
    mover.add(replace(node, attributes={"axis": axis - rank}))
    return replace(place, axis=place.axis + (added if axis < place.axis else 0))


def _pad(mover: BatchMover, node: Node, place: Place) -> Place:
    """Pads of all axes, the begins and then the ends, get those of one axis more."""
    source, *given = node.inputs
    rank = len(mover.shape(source))
    if len(given) > _AXES_OF_PAD:
        raise Lost
    pads = mover.value(given[0]) if given else np.array(node.attributes.get("pads", []))
    if pads.size != 2 * rank:
        raise Lost
    mover.refuse(bool(pads.reshape(2, rank)[:, place.axis].any()))
    more = np.pad(pads.reshape(2, rank), ((0, 0), (1, 0))).ravel()
    if given:
        name = mover.store(more.astype(np.int64), f"{node.output}/pads")
        mover.add(replace(node, inputs=(source, name, *given[1:])))
    else:
        mover.add(replace(node, attributes={**node.attributes, "pads": more.tolist()}))
    return place


def _slice(mover: BatchMover, node: Node, place: Place) -> Place:
    if len(node.inputs) < 4:
        raise Lost
    source, starts, ends, given, *steps = node.inputs
    rank = len(mover.shape(source))
    axes = mover.value(given) % rank
    mover.refuse(place.axis in axes)
    name = mover.store((axes - rank).astype(np.int64), f"{node.output}/axes")
    mover.add(replace(node, inputs=(source, starts, ends, name, *steps)))
    return place


def _reduce(mover: BatchMover, node: Node, place: Place) -> Place:
    """Sums and the like over axes, which become a Reshape where they are not kept."""
    source, *given = node.inputs
    rank = len(mover.shape(source))
    found = mover.value(given[0]) if given else np.array(node.attributes.get("axes", []))
    axes = [int(axis) % rank for axis in found]
    if not axes:
        raise Lost
    mover.refuse(place.axis in axes)
    attributes = dict(node.attributes)
    inputs = [source]
    if given:
        inputs.append(mover.store(np.array(axes, np.int64) - rank, f"{node.output}/axes"))
    else:
        attributes["axes"] = [axis - rank for axis in axes]
    if not attributes.get("keepdims", 1):
        place = replace(place, axis=place.axis - sum(axis < place.axis for axis in axes))
    mover.add(replace(node, inputs=tuple(inputs), attributes=attributes))
    return place


def _matmul(mover: BatchMover, node: Node, place: Place) -> Place:
    """Products of two tensors, or of one and a constant matrix on either side."""
    a, b = (mover.shape(name) for name in node.inputs)
    if len(mover.data(node)) > 1:
        if len(a) != len(b):
            raise Lost
        mover.refuse(place.axis >= len(a) - 2)
    elif len(a if node.inputs[1] in mover.places else b) != _MATRIX:
        raise Lost
    elif node.inputs[1] in mover.places:
        mover.refuse(place.axis == len(b) - 2)
    mover.refuse(node.inputs[0] in mover.places and place.axis == len(a) - 1)
    mover.add(node)
    return place


def _gemm(mover: BatchMover, node: Node, place: Place) -> Place:
    """Rows times a matrix: the rows of a sample are a matrix of their own."""
    a, b, *bias = node.inputs
    options = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0, **node.attributes}
    if options["transA"] or a not in mover.places:
        raise Lost
    mover.refuse(place.axis > 0)
    weight = mover.value(b).T if options["transB"] else mover.value(b)
    weight = (weight * np.asarray(options["alpha"], weight.dtype)).copy()
    if not bias or not bias[0]:
        mover.emit("MatMul", a, weight, output=node.output, name=node.name)
        return place
    shift = mover.value(bias[0])
    if shift.ndim > 1 and shift.shape[0] != 1:
        raise Lost
    product = mover.emit("MatMul", a, weight)
    shift = shift * np.asarray(options["beta"], shift.dtype)
    mover.emit("Add", product, shift, output=node.output, name=node.name)
    return place


_DEFAULT_AXES = {"Concat": 0, "LayerNormalization": -1, "LogSoftmax": -1, "Softmax": -1, "Split": 0}
_RULES: dict[str, Rule] = {
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshape),
    **dict.fromkeys(_DEFAULT_AXES, _along_axis),
    **dict.fromkeys(("ReduceMax", "ReduceMean", "ReduceSum"), _reduce),
    "Gather": _gather,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Pad": _pad,
    "Slice": _slice,
    "Transpose": _transpose,
}
