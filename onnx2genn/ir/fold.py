"""Fold products and sums with constants into the weights beside them.

Only a simplification: what cannot be folded stays as a node and is computed as such. Every rule
keeps the rule of names: a tensor that is still there has the value that it had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np

from onnx2genn.ir.graph import Graph, Node, Shape, live

# f(s x) = s f(x) for a scalar s.
_HOMOGENEOUS = {
    "AveragePool",
    "Concat",
    "Expand",
    "Gather",
    "Identity",
    "Pad",
    "ReduceMean",
    "ReduceSum",
    "Reshape",
    "Slice",
    "Transpose",
}
_CONVOLUTIONS = ("Conv", "ConvTranspose")
_BATCH_AND_CHANNEL = 2


class _Editor:
    """Nodes and constants under change; only tensors with one reader may vanish."""

    def __init__(
        self,
        nodes: Iterable[Node],
        constants: Mapping[str, np.ndarray],
        shapes: Mapping[str, Shape],
        kept: Iterable[str],
    ) -> None:
        self.nodes = list(nodes)
        self.constants = dict(constants)
        self.shapes = dict(shapes)
        self._kept = set(kept)

    def run(self, rule: Callable[[_Editor, Node], list[Node] | None]) -> None:
        """Apply a rule to all nodes until it changes nothing.

        A rule looks at a node and returns what takes the place of the node's only neighbour: see
        :meth:`sole_producer` and :meth:`sole_consumer`, which mark the other one for removal.
        """
        changed = True
        while changed:
            changed = False
            self._index()
            for index, node in enumerate(self.nodes):
                self._dropped: str | None = None
                written = rule(self, node)
                if written is None:
                    continue
                self.nodes[index : index + 1] = written
                self.nodes = [item for item in self.nodes if item.output != self._dropped]
                changed = True
                break

    def _index(self) -> None:
        self._producers = {node.output: node for node in self.nodes}
        self._readers: dict[str, int] = {}
        for node in self.nodes:
            for name in node.inputs:
                self._readers[name] = self._readers.get(name, 0) + 1

    def producer(self, name: str) -> Node | None:
        """Return the node that computes a tensor if nobody else needs that tensor."""
        if name in self._kept or self._readers.get(name) != 1:
            return None
        return self._producers.get(name)

    def drop(self, node: Node) -> None:
        """Remove a node once the current rule is applied."""
        self._dropped = node.output

    def fixed(self, node: Node, position: int = 1) -> np.ndarray | None:
        """Return a constant input of a node."""
        return self.constants.get(node.inputs[position])

    def store(self, name: str, array: np.ndarray) -> str:
        """Add a constant under the first free name."""
        unique, index = name, 0
        while unique in self.constants:
            index += 1
            unique = f"{name}_{index}"
        self.constants[unique] = np.ascontiguousarray(array, dtype=np.float32)
        return unique

    def scaled(self, source: str, factor: np.ndarray, output: str) -> Node:
        """Write ``output = source * factor``."""
        self.shapes[output] = self.shapes[source]
        name = self.store(f"{output}/factor", factor)
        return Node(op="Mul", inputs=(source, name), outputs=(output,), name=name)


def fold(
    nodes: Iterable[Node],
    constants: Mapping[str, np.ndarray],
    shapes: Mapping[str, Shape],
    kept: Iterable[str],
) -> tuple[list[Node], dict[str, np.ndarray], dict[str, Shape]]:
    """Fold constants factors, sums and borders into Conv and MatMul where that is exact.

    Args:
        nodes: Canonical nodes in topological order.
        constants: Their weights.
        shapes: Shapes of all tensors without the batch axis.
        kept: Tensors that must stay.

    Returns:
        The new nodes, constants and shapes.
    """
    kept = list(kept)
    editor = _Editor(nodes, constants, shapes, kept)
    for rule in _RULES:
        editor.run(rule)
    left, used = live(editor.nodes, editor.constants, kept)
    return left, used, editor.shapes


def fold_graph(graph: Graph) -> Graph:
    """Fold a whole graph."""
    nodes, constants, shapes = fold(graph.nodes, graph.constants, graph.shapes, [graph.output])
    return replace(graph, nodes=nodes, constants=constants, shapes=shapes)


def _along(factor: np.ndarray, rank: int, axis: int) -> np.ndarray | None:
    """Return a factor that varies along one axis only as a vector (or a single value)."""
    full = factor.reshape((1,) * (rank - factor.ndim) + factor.shape)
    if full.size == full.shape[axis] or full.size == 1:
        return full.reshape(-1)
    return None


def _factor_into_producer(editor: _Editor, node: Node) -> list[Node] | None:
    """f(x) * s: scale the weights of f, or the operands of a sum."""
    if node.op != "Mul":
        return None
    factor, before = editor.fixed(node), editor.producer(node.inputs[0])
    same_shape = editor.shapes[node.output] == editor.shapes[node.inputs[0]]
    if factor is None or before is None or not same_shape:
        return None
    written = _scaled_producer(editor, before, factor, node.output)
    if written is not None:
        editor.drop(before)
    return written


def _scaled_producer(
    editor: _Editor, before: Node, factor: np.ndarray, output: str
) -> list[Node] | None:
    rank = len(editor.shapes[output]) + 1
    if before.op == "Add":
        return _scaled_sum(editor, before, factor, output)
    weight = editor.fixed(before) if len(before.inputs) > 1 else None
    if before.op == "Mul" and weight is not None:
        return [editor.scaled(before.inputs[0], weight * factor, output)]
    if before.op == "MatMul" and weight is not None:
        vector = _along(factor, rank, -1)
        return None if vector is None else [_reweighted(editor, before, [weight * vector], output)]
    if before.op in _CONVOLUTIONS and weight is not None:
        vector = _along(factor, rank, 1)
        if vector is None:
            return None
        arrays = [_scaled_outputs(before, weight, vector)]
        arrays += [editor.constants[name] * vector for name in before.inputs[2:]]
        return [_reweighted(editor, before, arrays, output)]
    if before.op in _HOMOGENEOUS and factor.size == 1 and not before.body:
        inner = [
            editor.scaled(name, factor.reshape(()), f"{output}/scaled_{index}")
            for index, name in enumerate(before.inputs)
            if name not in editor.constants
        ]
        names = iter([item.output for item in inner])
        inputs = tuple(name if name in editor.constants else next(names) for name in before.inputs)
        return [*inner, replace(before, inputs=inputs, outputs=(output,))]
    return None


def _scaled_sum(
    editor: _Editor, before: Node, factor: np.ndarray, output: str
) -> list[Node] | None:
    if any(
        name not in editor.constants and editor.shapes[name] != editor.shapes[output]
        for name in before.inputs
    ):
        return None
    written, names = [], []
    for index, name in enumerate(before.inputs):
        part = f"{output}/scaled_{index}"
        if name in editor.constants:
            names.append(editor.store(part, editor.constants[name] * factor))
        else:
            written.append(editor.scaled(name, factor, part))
            names.append(part)
    return [*written, replace(before, inputs=tuple(names), outputs=(output,))]


def _reweighted(editor: _Editor, node: Node, arrays: list[np.ndarray], output: str) -> Node:
    """Copy a node with other weights under another output name."""
    names = [
        editor.store(f"{output}/{role}", array)
        for role, array in zip(("weight", "bias"), arrays, strict=False)
    ]
    return replace(node, inputs=(node.inputs[0], *names), outputs=(output,))


def _factor_into_consumer(editor: _Editor, node: Node) -> list[Node] | None:
    """f(s x): scale the weights of f, or take the factor behind f."""
    if not node.inputs:
        return None
    before = editor.producer(node.inputs[0])
    if before is None or before.op != "Mul" or node.inputs[0] in node.inputs[1:]:
        return None
    factor, source = editor.fixed(before), before.inputs[0]
    if factor is None or editor.shapes[before.output] != editor.shapes[source]:
        return None
    written = _scaled_consumer(editor, node, factor, source)
    if written is not None:
        editor.drop(before)
    return written


def _scaled_consumer(
    editor: _Editor, node: Node, factor: np.ndarray, source: str
) -> list[Node] | None:
    rank = len(editor.shapes[source]) + 1
    weight = editor.fixed(node) if len(node.inputs) > 1 else None
    if node.op == "MatMul" and weight is not None:
        vector = _along(factor, rank, -1)
        if vector is None:
            return None
        moved = replace(node, inputs=(source, *node.inputs[1:]))
        return [_reweighted(editor, moved, [weight * vector[:, None]], node.output)]
    if node.op in _CONVOLUTIONS and weight is not None:
        vector = _along(factor, rank, 1)
        if vector is None:
            return None
        moved = replace(node, inputs=(source, *node.inputs[1:]))
        arrays = [_scaled_inputs(node, weight, vector)]
        arrays += [editor.constants[name] for name in node.inputs[2:]]
        return [_reweighted(editor, moved, arrays, node.output)]
    behind = _factor_behind(editor, node, factor, source, rank)
    if behind is None:
        return None
    inner = f"{node.output}/unscaled"
    editor.shapes[inner] = editor.shapes[node.output]
    moved = replace(node, inputs=(source, *node.inputs[1:]), outputs=(inner,))
    return [moved, editor.scaled(inner, behind, node.output)]


def _scaled_inputs(node: Node, weight: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Scale the source channels of a kernel."""
    if node.op == "Conv":  # [out, in / group, ...]
        return _scaled_within_groups(node, weight, vector)
    return weight * vector.reshape(-1, *[1] * (weight.ndim - 1))


def _scaled_outputs(node: Node, weight: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Scale the target channels of a kernel."""
    if node.op == "ConvTranspose":  # [in, out / group, ...]
        return _scaled_within_groups(node, weight, vector)
    return weight * vector.reshape(-1, *[1] * (weight.ndim - 1))


def _scaled_within_groups(node: Node, weight: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Scale the second axis of a kernel, whose channels are counted within each group."""
    if vector.size == 1:
        return weight * vector[0]
    group, tail = node.attributes["group"], [1] * (weight.ndim - _BATCH_AND_CHANNEL)
    per_group = vector.reshape(group, 1, weight.shape[1], *tail)
    return (weight.reshape(group, -1, *weight.shape[1:]) * per_group).reshape(weight.shape)


def _factor_behind(
    editor: _Editor, node: Node, factor: np.ndarray, source: str, rank: int
) -> np.ndarray | None:
    """Return s' with f(s x) = s' f(x), if there is one."""
    if node.op not in _HOMOGENEOUS or node.op == "Concat" or node.body:
        return None
    if factor.size == 1:
        return factor.reshape(())  # of no rank: f may change the rank
    channel = _along(factor, rank, 1)
    if node.op == "AveragePool" or (node.op == "ReduceMean" and node.attributes.get("keepdims")):
        spatial = node.op == "AveragePool" or 1 not in editor.constants[node.inputs[1]]
        if channel is None or not spatial:
            return None
        return channel.reshape(1, -1, *[1] * (rank - _BATCH_AND_CHANNEL))
    full = np.broadcast_to(factor, (1, *editor.shapes[source]))
    if node.op == "Reshape":
        return full.reshape(1, *editor.shapes[node.output])
    if node.op == "Transpose":
        return full.transpose(node.attributes["perm"])
    return None


def _sum_into_conv(editor: _Editor, node: Node) -> list[Node] | None:
    """Conv(x) + c with c per channel: add to the bias."""
    if node.op != "Add":
        return None
    shift, before = editor.fixed(node), editor.producer(node.inputs[0])
    if shift is None or before is None or before.op not in _CONVOLUTIONS:
        return None
    channels = editor.shapes[node.output][0]
    vector = _along(shift, len(editor.shapes[node.output]) + 1, 1)
    if vector is None or editor.shapes[before.output] != editor.shapes[node.output]:
        return None
    bias = np.broadcast_to(vector, (channels,)).astype(np.float32)
    for name in before.inputs[2:]:
        bias = bias + editor.constants[name]
    editor.drop(before)
    arrays = [editor.constants[before.inputs[1]], bias]
    return [_reweighted(editor, before, arrays, node.output)]


def _border_into_conv(editor: _Editor, node: Node) -> list[Node] | None:
    """Conv(Pad(x)) with a border of zeros: add to the pads."""
    if node.op != "Conv":
        return None
    before = editor.producer(node.inputs[0])
    if before is None or before.op != "Pad" or before.attributes.get("mode") != "constant":
        return None
    border = editor.constants[before.inputs[1]].reshape(2, -1)
    if border[:, :_BATCH_AND_CHANNEL].any() or (border < 0).any():
        return None
    pads = np.reshape(node.attributes["pads"], (2, -1)) + border[:, _BATCH_AND_CHANNEL:]
    editor.drop(before)
    attributes = {**node.attributes, "pads": pads.ravel().tolist()}
    inputs = (before.inputs[0], *node.inputs[1:])
    return [replace(node, inputs=inputs, attributes=attributes)]


def _order_into_matmul(editor: _Editor, node: Node) -> list[Node] | None:
    """MatMul(Flatten(Transpose(x))): permute the rows of the weights instead of the data."""
    if node.op != "MatMul" or len(editor.shapes[node.inputs[0]]) != 1:
        return None
    flat = editor.producer(node.inputs[0])
    turned = editor.producer(flat.inputs[0]) if flat is not None and flat.op == "Reshape" else None
    weight = editor.fixed(node)
    if flat is None or turned is None or turned.op != "Transpose" or weight is None:
        return None
    source = turned.inputs[0]
    order = np.arange(len(weight)).reshape(1, *editor.shapes[source])
    rows = np.argsort(order.transpose(turned.attributes["perm"]).ravel())
    editor.drop(turned)
    straight = f"{node.output}/flat"
    editor.shapes[straight] = editor.shapes[flat.output]
    flattened = replace(flat, inputs=(source, flat.inputs[1]), outputs=(straight,))
    moved = replace(node, inputs=(straight, node.inputs[1]))
    return [flattened, _reweighted(editor, moved, [weight[rows]], node.output)]


_RULES = (
    _factor_into_producer,
    _sum_into_conv,
    _border_into_conv,
    _order_into_matmul,
    _factor_into_consumer,
)
