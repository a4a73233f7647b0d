"""Fold products and sums with constants into the weights beside them.

Only a simplification: what cannot be folded stays as a node and is computed as such. Every rule
keeps the rule of names: a tensor that is still there has the value that it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from onnx2genn.ir.editor import Editor
from onnx2genn.ir.graph import Graph, Node, Shape, live
from onnx2genn.ir.registry import entry_of

_CONVOLUTIONS = ("Conv", "ConvTranspose")
_BATCH_AND_CHANNEL = 2


def fold(
    nodes: Iterable[Node],
    constants: Mapping[str, np.ndarray],
    shapes: Mapping[str, Shape],
    kept: Iterable[str],
) -> tuple[list[Node], dict[str, np.ndarray], dict[str, Shape]]:
    """Fold constant factors, sums and borders into Conv and MatMul where that is exact.

    Args:
        nodes: Canonical nodes in topological order.
        constants: Their weights.
        shapes: Shapes of all tensors without the batch axis.
        kept: Tensors that must stay.

    Returns:
        The new nodes, constants and shapes.
    """
    kept = list(kept)
    editor = Editor(nodes, constants, shapes, kept)
    for rule in _RULES:
        editor.apply(rule)
    left, used = live(list(editor.edited.values()), editor.constants, kept)
    return left, used, editor.shapes


def fold_graph(graph: Graph) -> Graph:
    """Fold a whole graph."""
    nodes, constants, shapes = fold(graph.nodes, graph.constants, graph.shapes, graph.outputs)
    return replace(graph, nodes=nodes, constants=constants, shapes=shapes)


def _along(factor: np.ndarray, rank: int, axis: int) -> np.ndarray | None:
    """Return a factor that varies along one axis only as a vector (or a single value)."""
    full = factor.reshape((1,) * (rank - factor.ndim) + factor.shape)
    if full.size == full.shape[axis] or full.size == 1:
        return full.reshape(-1)
    return None


def _factor_into_producer(editor: Editor, node: Node) -> bool:
    """f(x) * s: scale the weights of f, or the operands of a sum."""
    if node.op != "Mul":
        return False
    factor, before = editor.fixed(node), editor.producer(node.inputs[0])
    if factor is None or before is None:
        return False
    if editor.shapes[node.output] != editor.shapes[before.output]:
        return False
    if not _scale_producer(editor, before, factor, node.output):
        return False
    editor.drop(before)
    return True


def _scale_producer(editor: Editor, before: Node, factor: np.ndarray, output: str) -> bool:
    rank = len(editor.shapes[output]) + 1
    if before.op == "Add":
        return _scale_sum(editor, before, factor, output)
    weight = editor.fixed(before)
    if before.op == "Mul" and weight is not None:
        editor.scale(before.inputs[0], weight * factor, output)
        return True
    if before.op == "MatMul" and weight is not None:
        vector = _along(factor, rank, -1)
        return vector is not None and _reweight(editor, before, [weight * vector], output)
    if before.op in _CONVOLUTIONS and weight is not None:
        vector = _along(factor, rank, 1)
        if vector is None:
            return False
        arrays = [_scaled_outputs(before, weight, vector)]
        arrays += [editor.constants[name] * vector for name in before.inputs[2:]]
        return _reweight(editor, before, arrays, output)
    if entry_of(before).homogeneous and factor.size == 1:
        _scale_operands(editor, before, factor.reshape(()), output)
        return True
    return False


def _scale_sum(editor: Editor, before: Node, factor: np.ndarray, output: str) -> bool:
    data = [name for name in before.inputs if name not in editor.constants]
    if any(editor.shapes[name] != editor.shapes[output] for name in data):
        return False
    _scale_operands(editor, before, factor, output, constants=True)
    return True


def _scale_operands(
    editor: Editor, before: Node, factor: np.ndarray, output: str, *, constants: bool = False
) -> None:
    """Write a node of scaled operands: of those that are data, or of its constants, too."""
    inputs = list(before.inputs)
    for index, name in enumerate(inputs):
        part = f"{output}/scaled_{index}"
        if name not in editor.constants:
            inputs[index] = editor.scale(name, factor, part)
        elif constants:
            inputs[index] = editor.store(editor.constants[name] * factor, part)
    editor.add(replace(before, inputs=tuple(inputs), outputs=(output,)))


def _reweight(editor: Editor, node: Node, arrays: list[np.ndarray], output: str) -> bool:
    """Write a node with other weights under another output name."""
    names = [
        editor.store(array, f"{output}/{role}")
        for role, array in zip(("weight", "bias"), arrays, strict=False)
    ]
    editor.add(replace(node, inputs=(node.inputs[0], *names), outputs=(output,)))
    return True


def _factor_into_consumer(editor: Editor, node: Node) -> bool:
    """f(s x): scale the weights of f, or take the factor behind f."""
    if not node.inputs or node.inputs[0] in node.inputs[1:]:
        return False
    before = editor.producer(node.inputs[0])
    if before is None or before.op != "Mul":
        return False
    factor, source = editor.fixed(before), before.inputs[0]
    if factor is None or editor.shapes[before.output] != editor.shapes[source]:
        return False
    if not _scale_consumer(editor, node, factor, source):
        return False
    editor.drop(before)
    return True


def _scale_consumer(editor: Editor, node: Node, factor: np.ndarray, source: str) -> bool:
    rank = len(editor.shapes[source]) + 1
    weight = editor.fixed(node)
    moved = replace(node, inputs=(source, *node.inputs[1:]))
    if node.op == "MatMul" and weight is not None:
        vector = _along(factor, rank, -1)
        return vector is not None and _reweight(
            editor, moved, [weight * vector[:, None]], node.output
        )
    if node.op in _CONVOLUTIONS and weight is not None:
        vector = _along(factor, rank, 1)
        if vector is None:
            return False
        arrays = [_scaled_inputs(node, weight, vector)]
        arrays += [editor.constants[name] for name in node.inputs[2:]]
        return _reweight(editor, moved, arrays, node.output)
    behind = _factor_behind(editor, node, factor, source, rank)
    if behind is None:
        return False
    inner = f"{node.output}/unscaled"
    editor.shapes[inner] = editor.shapes[node.output]
    editor.add(replace(moved, outputs=(inner,)))
    editor.scale(inner, behind, node.output)
    return True


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
    editor: Editor, node: Node, factor: np.ndarray, source: str, rank: int
) -> np.ndarray | None:
    """Return s' with f(s x) = s' f(x), if there is one."""
    if not entry_of(node).homogeneous or node.op == "Concat":
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


def _sum_into_conv(editor: Editor, node: Node) -> bool:
    """Conv(x) + c with c per channel: add to the bias."""
    if node.op != "Add":
        return False
    shift, before = editor.fixed(node), editor.producer(node.inputs[0])
    if shift is None or before is None or before.op not in _CONVOLUTIONS:
        return False
    channels = editor.shapes[node.output][0]
    vector = _along(shift, len(editor.shapes[node.output]) + 1, 1)
    if vector is None or editor.shapes[before.output] != editor.shapes[node.output]:
        return False
    bias = np.broadcast_to(vector, (channels,)).astype(np.float32)
    for name in before.inputs[2:]:
        bias = bias + editor.constants[name]
    editor.drop(before)
    return _reweight(editor, before, [editor.constants[before.inputs[1]], bias], node.output)


def _sum_into_branch(editor: Editor, node: Node) -> bool:
    """(Conv(x) + y) + c: add c behind the Conv, whose bias can take it."""
    before = editor.producer(node.inputs[0]) if node.op == "Add" else None
    shift = editor.fixed(node) if before is not None else None
    if shift is None or before is None or before.op != "Add":
        return False
    if editor.fixed(before) is not None:
        return False
    if _along(shift, len(editor.shapes[node.output]) + 1, 1) is None:
        return False
    for position, name in enumerate(before.inputs):
        branch = editor.producer(name)
        if branch is None or branch.op not in _CONVOLUTIONS:
            continue
        if editor.shapes[name] != editor.shapes[node.output]:
            continue
        shifted = f"{node.output}/shifted_{position}"
        editor.shapes[shifted] = editor.shapes[name]
        editor.drop(before)
        editor.emit("Add", name, shift, output=shifted)
        inputs = tuple(shifted if name == item else item for item in before.inputs)
        editor.add(replace(before, inputs=inputs, outputs=(node.output,)))
        return True
    return False


def _sum_into_consumer(editor: Editor, node: Node) -> bool:
    """f(x + c): add f(c) - f(0) behind f, where that is a bias."""
    weight = editor.fixed(node) if node.op in {"Conv", "MatMul"} else None
    before = editor.producer(node.inputs[0]) if weight is not None else None
    if weight is None or before is None or before.op != "Add":
        return False
    shift, source = editor.fixed(before), before.inputs[0]
    if shift is None or editor.shapes[before.output] != editor.shapes[source]:
        return False
    rank, convolves = len(editor.shapes[source]) + 1, node.op == "Conv"
    vector = _along(shift, rank, 1 if convolves else -1)
    if vector is None or (convolves and any(node.attributes["pads"])):
        return False
    if convolves:
        arrives = _scaled_inputs(node, weight, vector).reshape(len(weight), -1).sum(axis=1)
        bias = arrives.reshape(1, -1, *[1] * (rank - _BATCH_AND_CHANNEL))
    else:
        bias = np.broadcast_to(vector, (1, weight.shape[-2])) @ weight
    inner = f"{node.output}/unshifted"
    editor.shapes[inner] = editor.shapes[node.output]
    editor.drop(before)
    editor.add(replace(node, inputs=(source, *node.inputs[1:]), outputs=(inner,), name=inner))
    editor.emit("Add", inner, editor.store(bias, f"{inner}/bias"), output=node.output)
    return True


def _border_into_conv(editor: Editor, node: Node) -> bool:
    """Conv(Pad(x)) with a border of zeros: add to the pads."""
    if node.op != "Conv":
        return False
    before = editor.producer(node.inputs[0])
    if before is None or before.op != "Pad" or before.attributes.get("mode") != "constant":
        return False
    border = editor.constants[before.inputs[1]].reshape(2, -1)
    if border[:, :_BATCH_AND_CHANNEL].any() or (border < 0).any():
        return False
    pads = np.reshape(node.attributes["pads"], (2, -1)) + border[:, _BATCH_AND_CHANNEL:]
    editor.drop(before)
    attributes = {**node.attributes, "pads": pads.ravel().tolist()}
    editor.add(replace(node, inputs=(before.inputs[0], *node.inputs[1:]), attributes=attributes))
    return True


def _order_into_matmul(editor: Editor, node: Node) -> bool:
    """MatMul(Flatten(Transpose(x))): permute the rows of the weights instead of the data."""
    if node.op != "MatMul" or len(editor.shapes[node.inputs[0]]) != 1:
        return False
    flat = editor.producer(node.inputs[0])
    turned = editor.producer(flat.inputs[0]) if flat is not None and flat.op == "Reshape" else None
    weight = editor.fixed(node)
    if flat is None or turned is None or turned.op != "Transpose" or weight is None:
        return False
    source, straight = turned.inputs[0], f"{node.output}/flat"
    order = np.arange(len(weight)).reshape(1, *editor.shapes[source])
    rows = np.argsort(order.transpose(turned.attributes["perm"]).ravel())
    editor.shapes[straight] = editor.shapes[flat.output]
    editor.add(replace(flat, inputs=(source, flat.inputs[1]), outputs=(straight,)))
    editor.drop(turned, flat)
    moved = replace(node, inputs=(straight, node.inputs[1]))
    return _reweight(editor, moved, [weight[rows]], node.output)


_RULES = (
    _factor_into_producer,
    _sum_into_consumer,
    _sum_into_branch,
    _sum_into_conv,
    _border_into_conv,
    _order_into_matmul,
    _factor_into_consumer,
)
