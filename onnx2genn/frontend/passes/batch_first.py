"""Bring the batch back to the first axis, where a model moves or merges it on the way.

PyTorch's attention transposes to [length, batch, features], and merges batch and heads to one axis
for its products; linear layers merge batch and length. Samples still do not mix. So each such
tensor T is written as T', which is T with the batch taken out of its place and put first::

    T [..., outer * batch * inner, ...]    T' [batch, ..., outer * inner, ...]

In memory, what is before and after the batch keeps its order: a Reshape of T is one of T'. All
axes of T, counted from the last, are those of T'; so most operators stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from onnx2genn.errors import UnsupportedModelError
from onnx2genn.frontend.context import Context
from onnx2genn.frontend.probe import independent
from onnx2genn.ir.graph import Graph, Node

_BATCH = 2


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the batch is in a tensor: in an axis of size outer * batch * inner."""

    axis: int = 0
    outer: int = 1
    inner: int = 1


_FIRST = _Place()


class _Lost(Exception):
    """Samples mix, or the operator has no rule."""


def lead_with_batch(graph: Graph, context: Context) -> Graph:
    """Write the nodes whose tensors do not have the batch as their first axis with it.

    Args:
        graph: Graph in its own operators.
        context: How it may be run.

    Returns:
        The graph, in which tensors that have the batch first keep their names; the same graph if
        nothing can be done.
    """
    size = context.batch or _BATCH
    try:
        mover = _Mover(size, context.values(graph, size), independent(graph), graph)
        for node in graph.nodes:
            mover.add(node)
    except (_Lost, UnsupportedModelError):
        return graph
    if not mover.moved or mover.places[graph.output] != _FIRST:
        return graph
    return replace(graph, nodes=mover.nodes, constants=mover.constants).only_live()


class _Mover:
    """The graph under change.

    Attributes:
        places: Where the batch is in each tensor that depends on the inputs.
        moved: The name of T' for tensors T that do not have it first.
        nodes: The nodes so far. Those of such T stay, too: some read their shapes only.
        constants: The constants, with new ones.
    """

    def __init__(
        self, batch: int, values: Mapping[str, np.ndarray], fixed: set[str], graph: Graph
    ) -> None:
        self.places = dict.fromkeys(graph.inputs, _FIRST)
        self.moved: dict[str, str] = {}
        self.nodes: list[Node] = []
        self.constants = dict(graph.constants)
        self._batch = batch
        self._values = values
        self._fixed = fixed

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor T, batch included."""
        return np.shape(self._values[name])

    def value(self, name: str) -> np.ndarray:
        """Value of a tensor that does not depend on the inputs."""
        if name not in self._fixed:
            raise _Lost
        return np.asarray(self._values[name])

    def data(self, node: Node) -> list[str]:
        """Inputs of a node that depend on those of the graph."""
        return [name for name in node.inputs if name and name not in self._fixed]

    def add(self, node: Node) -> None:
        """Add a node, with T' for each of its outputs T that does not have the batch first."""
        data = self.data(node)
        places = {self.places[name] for name in data}
        if not data or self._fixed >= set(node.outputs):
            self.nodes.append(node)
            return
        rule = _RULES.get(node.op)
        if places == {_FIRST} and (rule not in (_reshape, _transpose)):
            self._keep(node)
            return
        if len(places) > 1 or rule is None or node.domain:
            raise _Lost
        (place,) = places
        written, after = rule(self, node, place)
        if after == _FIRST == place:
            self._keep(node)
        elif after == _FIRST:
            self._end(node, written)
        else:
            self._go_on(node, written)
        self.places |= dict.fromkeys(filter(None, node.outputs), after)

    def _keep(self, node: Node) -> None:
        if any(self.shape(name)[:1] != (self._batch,) for name in node.outputs if name):
            raise _Lost
        self.nodes.append(node)
        self.places |= dict.fromkeys(filter(None, node.outputs), _FIRST)

    def _go_on(self, node: Node, written: Sequence[Node]) -> None:
        names = {name: f"{name}/batch_first" for name in node.outputs if name}
        self.moved |= names
        self.nodes.append(replace(node, name=f"{node.name}/batch_within"))
        self.nodes += [self._renamed(item, names) for item in written]

    def _end(self, node: Node, written: Sequence[Node]) -> None:
        """Write T itself, without the axis of one element in the place of the batch."""
        names = {name: f"{name}/batch_first" for name in node.outputs if name}
        self.nodes += [self._renamed(item, names) for item in written]
        for name, source in names.items():
            target = self.store(f"{name}/shape", np.array([0, *self.shape(name)[1:]], np.int64))
            self.nodes.append(
                Node(op="Reshape", inputs=(source, target), outputs=(name,), name=source)
            )

    def _renamed(self, node: Node, outputs: Mapping[str, str]) -> Node:
        sources = {**self.moved, **outputs}
        return replace(
            node,
            inputs=tuple(sources.get(name, name) for name in node.inputs),
            outputs=tuple(outputs.get(name, name) for name in node.outputs),
        )

    def store(self, name: str, array: np.ndarray) -> str:
        """Add a constant."""
        self.constants[name] = array
        return name

    def find(self, place: _Place, before: Sequence[int], after: Sequence[int]) -> _Place:
        """Find the batch in a new shape of the same elements."""
        left = prod(before[: place.axis]) * place.outer
        found = []
        for axis, size in enumerate(after):
            outer, rest = divmod(left, prod(after[:axis]) or 1)
            if outer and not rest and size % (outer * self._batch) == 0:
                found.append(_Place(axis, outer, size // (outer * self._batch)))
        if not found:
            raise _Lost
        return min(found, key=lambda item: item.outer * item.inner)

    def without_batch(self, name: str, place: _Place) -> list[int]:
        """Shape of T' behind its first axis."""
        sizes = list(self.shape(name))
        sizes[place.axis] //= self._batch
        return sizes

    def refuse(self, *mixing: bool) -> None:
        """Give up if samples mix; those of a batch of one cannot, wherever it is."""
        if self._batch > 1 and any(mixing):
            raise _Lost


_Rule = Callable[[_Mover, Node, _Place], tuple[list[Node], _Place]]


def _reshape(mover: _Mover, node: Node, place: _Place) -> tuple[list[Node], _Place]:
    """Reshape, Flatten, Squeeze, Unsqueeze."""
    source = node.inputs[0]
    after = mover.find(place, mover.shape(source), mover.shape(node.output))
    target = np.array([0, *mover.without_batch(node.output, after)], np.int64)
    shape = mover.store(f"{node.output}/open_shape", target)
    return [replace(node, op="Reshape", inputs=(source, shape), attributes={})], after


def _transpose(mover: _Mover, node: Node, place: _Place) -> tuple[list[Node], _Place]:
    rank = len(mover.shape(node.output))
    perm = list(node.attributes.get("perm", range(rank)[::-1]))
    after = replace(place, axis=perm.index(place.axis))
    if place == _FIRST:  # T' of it is T with one axis more.
        size = [0, 1, *mover.shape(node.inputs[0])[1:]]
        shape = mover.store(f"{node.output}/shape_before", np.array(size, np.int64))
        opened = f"{node.output}/opened"
        written = [
            Node(op="Reshape", inputs=(node.inputs[0], shape), outputs=(opened,), name=opened),
            replace(node, inputs=(opened,), attributes={"perm": [0, *(1 + i for i in perm)]}),
        ]
        return written, after
    return [replace(node, attributes={"perm": [0, *(1 + i for i in perm)]})], after


def _elementwise(mover: _Mover, node: Node, place: _Place) -> tuple[list[Node], _Place]:
    """Operators that broadcast: constants must be equal for all samples."""
    rank = len(mover.shape(node.output))
    for name in filter(None, node.inputs):
        shape = mover.shape(name)
        own = place.axis - (rank - len(shape))
        fixed = name not in mover.places
        if (fixed and own >= 0 and shape[own] != 1) or (not fixed and len(shape) != rank):
            raise _Lost
    return [node], place


def _along_axis(mover: _Mover, node: Node, place: _Place) -> tuple[list[Node], _Place]:
    """Operators along one axis, which is not that of the batch."""
    rank = len(mover.shape(node.inputs[0]))
    axis = node.attributes.get("axis", _DEFAULT_AXES[node.op]) % rank - rank
    if len(mover.data(node)) < len(_arrays(node)):
        raise _Lost
    mover.refuse(
        axis + rank == place.axis,
        node.op == "LayerNormalization" and axis + rank <= place.axis,
    )
    return [replace(node, attributes={**node.attributes, "axis": axis})], place


def _arrays(node: Node) -> tuple[str, ...]:
    """Inputs that are data, and not indices or weights."""
    return node.inputs if node.op == "Concat" else node.inputs[:1]


def _gather(mover: _Mover, node: Node, place: _Place) -> tuple[list[Node], _Place]:
    rank = len(mover.shape(node.inputs[0]))
    axis = node.attributes.get("axis", 0) % rank
    added = mover.value(node.inputs[1]).ndim - 1
    if node.inputs[0] not in mover.places:
        raise _Lost
    mover.refuse(axis == place.axis)
    after = replace(place, axis=place.axis + (added if axis < place.axis else 0))
    return [replace(node, attributes={"axis": axis - rank})], after


def _slice(mover: _Mover, node: Node, place: _Place) -> tuple[list[Node], _Place]:
    if len(node.inputs) < 4:
        raise _Lost
    source, starts, ends, given, *steps = node.inputs
    axes = mover.value(given) % len(mover.shape(source))
    mover.refuse(place.axis in axes)
    name = mover.store(f"{node.output}/axes", (axes - len(mover.shape(source))).astype(np.int64))
    return [replace(node, inputs=(source, starts, ends, name, *steps))], place


def _reduce(mover: _Mover, node: Node, place: _Place) -> tuple[list[Node], _Place]:
    """Sums and the like over axes, which become a Reshape where they are not kept."""
    source, *given = node.inputs
    rank = len(mover.shape(source))
    found = mover.value(given[0]) if given else np.array(node.attributes.get("axes", []))
    axes = [int(axis) % rank for axis in found]
    if not axes:
        raise _Lost
    mover.refuse(place.axis in axes)
    attributes = dict(node.attributes)
    inputs = [source]
    if given:
        inputs.append(mover.store(f"{node.output}/axes", np.array(axes, np.int64) - rank))
    else:
        attributes["axes"] = [axis - rank for axis in axes]
    if not attributes.get("keepdims", 1):
        place = replace(place, axis=place.axis - sum(axis < place.axis for axis in axes))
    return [replace(node, inputs=tuple(inputs), attributes=attributes)], place


def _matmul(mover: _Mover, node: Node, place: _Place) -> tuple[list[Node], _Place]:
    a, b = (mover.shape(name) for name in node.inputs)
    both = len(mover.data(node)) > 1
    if (both and len(a) != len(b)) or (
        not both and (node.inputs[1] in mover.places or len(b) != 2)
    ):
        raise _Lost
    mover.refuse(both and place.axis >= len(a) - 2, place.axis == len(a) - 1)
    return [node], place


def _gemm(mover: _Mover, node: Node, place: _Place) -> tuple[list[Node], _Place]:
    """Rows times a matrix: the rows of a sample are a matrix of their own."""
    a, b, *bias = node.inputs
    options = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0, **node.attributes}
    if options["transA"] or a not in mover.places:
        raise _Lost
    mover.refuse(place.axis > 0)
    weight = mover.value(b).T if options["transB"] else mover.value(b)
    weight = (weight * np.asarray(options["alpha"], weight.dtype)).copy()
    name = mover.store(f"{node.output}/weight", weight)
    if not bias or not bias[0]:
        return [Node(op="MatMul", inputs=(a, name), outputs=node.outputs, name=node.name)], place
    shift = mover.value(bias[0])
    if shift.ndim > 1 and shift.shape[0] != 1:
        raise _Lost
    added = mover.store(f"{node.output}/bias", shift * np.asarray(options["beta"], shift.dtype))
    product = f"{node.output}/product"
    return [
        Node(op="MatMul", inputs=(a, name), outputs=(product,), name=f"{node.name}/product"),
        Node(op="Add", inputs=(product, added), outputs=node.outputs, name=node.name),
    ], place


_DEFAULT_AXES = {"Concat": 0, "LayerNormalization": -1, "LogSoftmax": -1, "Softmax": -1, "Split": 0}
_RULES: dict[str, _Rule] = {
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshape),
    **dict.fromkeys(_DEFAULT_AXES, _along_axis),
    **dict.fromkeys(
        (
            "Add", "Cast", "Clip", "Div", "Dropout", "Erf", "Exp", "Gelu", "Identity", "LeakyRelu",
            "Mul", "Neg", "Pow", "Relu", "Sigmoid", "Sqrt", "Sub", "Tanh", "Where",
        ),
        _elementwise,
    ),
    **dict.fromkeys(("ReduceMax", "ReduceMean", "ReduceSum"), _reduce),
    "Gather": _gather,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Slice": _slice,
    "Transpose": _transpose,
}  # fmt: skip
