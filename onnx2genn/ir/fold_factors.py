"""Rules that fold constant factors into the weights beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2genn.ir.editor import Editor
from onnx2genn.ir.graph import Node
from onnx2genn.ir.kernels import (
    BATCH_AND_CHANNEL,
    CONVOLUTIONS,
    along,
    reweight,
    scaled_inputs,
    scaled_outputs,
)
from onnx2genn.ir.registry import entry_of


def factor_into_producer(editor: Editor, node: Node) -> bool:
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
        vector = along(factor, rank, -1)
        return vector is not None and reweight(editor, before, [weight * vector], output)
    if before.op in CONVOLUTIONS and weight is not None:
        vector = along(factor, rank, 1)
        if vector is None:
            return False
        arrays = [scaled_outputs(before, weight, vector)]
        arrays += [editor.constants[name] * vector for name in before.inputs[2:]]
        return reweight(editor, before, arrays, output)
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


def factor_into_consumer(editor: Editor, node: Node) -> bool:
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
        vector = along(factor, rank, -1)
        return vector is not None and reweight(
            editor, moved, [weight * vector[:, None]], node.output
        )
    if node.op in CONVOLUTIONS and weight is not None:
        vector = along(factor, rank, 1)
        if vector is None:
            return False
        arrays = [scaled_inputs(node, weight, vector)]
        arrays += [editor.constants[name] for name in node.inputs[2:]]
        return reweight(editor, moved, arrays, node.output)
    behind = _factor_behind(editor, node, factor, source, rank)
    if behind is None:
        return False
    inner = f"{node.output}/unscaled"
    editor.shapes[inner] = editor.shapes[node.output]
    editor.add(replace(moved, outputs=(inner,)))
    editor.scale(inner, behind, node.output)
    return True


def _factor_behind(
    editor: Editor, node: Node, factor: np.ndarray, source: str, rank: int
) -> np.ndarray | None:
    """Return s' with f(s x) = s' f(x), if there is one."""
    if not entry_of(node).homogeneous or node.op == "Concat":
        return None
    if factor.size == 1:
        return factor.reshape(())  # of no rank: f may change the rank
    channel = along(factor, rank, 1)
    if node.op == "AveragePool" or (node.op == "ReduceMean" and node.attributes.get("keepdims")):
        spatial = node.op == "AveragePool" or 1 not in editor.constants[node.inputs[1]]
        if channel is None or not spatial:
            return None
        return channel.reshape(1, -1, *[1] * (rank - BATCH_AND_CHANNEL))
    full = np.broadcast_to(factor, (1, *editor.shapes[source]))
    if node.op == "Reshape":
        return full.reshape(1, *editor.shapes[node.output])
    if node.op == "Transpose":
        return full.transpose(node.attributes["perm"])
    return None
