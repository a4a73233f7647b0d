"""Rules that fold constant sums, borders and orders into the weights beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2genn.ir.editor import Editor
from onnx2genn.ir.graph import Node
from onnx2genn.ir.kernels import BATCH_AND_CHANNEL, CONVOLUTIONS, along, reweight, scaled_inputs


def sum_into_branch(editor: Editor, node: Node) -> bool:
    """(Conv(x) + y) + c: add c behind the Conv, whose bias can take it."""
    before = editor.producer(node.inputs[0]) if node.op == "Add" else None
    shift = editor.fixed(node) if before is not None else None
    if shift is None or before is None or before.op != "Add":
        return False
    if editor.fixed(before) is not None:
        return False
    if along(shift, len(editor.shapes[node.output]) + 1, 1) is None:
        return False
    for position, name in enumerate(before.inputs):
        branch = editor.producer(name)
        if branch is None or branch.op not in CONVOLUTIONS:
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


def sum_into_consumer(editor: Editor, node: Node) -> bool:
    """f(x + c): add f(c) - f(0) behind f, where that is a bias."""
    weight = editor.fixed(node) if node.op in {"Conv", "MatMul"} else None
    before = editor.producer(node.inputs[0]) if weight is not None else None
    if weight is None or before is None or before.op != "Add":
        return False
    shift, source = editor.fixed(before), before.inputs[0]
    if shift is None or editor.shapes[before.output] != editor.shapes[source]:
        return False
    rank, convolves = len(editor.shapes[source]) + 1, node.op == "Conv"
    vector = along(shift, rank, 1 if convolves else -1)
    if vector is None or (convolves and any(node.attributes["pads"])):
        return False
    if convolves:
        arrives = scaled_inputs(node, weight, vector).reshape(len(weight), -1).sum(axis=1)
        bias = arrives.reshape(1, -1, *[1] * (rank - BATCH_AND_CHANNEL))
    else:
        bias = np.broadcast_to(vector, (1, weight.shape[-2])) @ weight
    inner = f"{node.output}/unshifted"
    editor.shapes[inner] = editor.shapes[node.output]
    editor.drop(before)
    editor.add(replace(node, inputs=(source, *node.inputs[1:]), outputs=(inner,), name=inner))
    editor.emit("Add", inner, editor.store(bias, f"{inner}/bias"), output=node.output)
    return True


def sum_into_conv(editor: Editor, node: Node) -> bool:
    """Conv(x) + c with c per channel: add to the bias."""
    if node.op != "Add":
        return False
    shift, before = editor.fixed(node), editor.producer(node.inputs[0])
    if shift is None or before is None or before.op not in CONVOLUTIONS:
        return False
    channels = editor.shapes[node.output][0]
    vector = along(shift, len(editor.shapes[node.output]) + 1, 1)
    if vector is None or editor.shapes[before.output] != editor.shapes[node.output]:
        return False
    bias = np.broadcast_to(vector, (channels,)).astype(np.float32)
    for name in before.inputs[2:]:
        bias = bias + editor.constants[name]
    editor.drop(before)
    return reweight(editor, before, [editor.constants[before.inputs[1]], bias], node.output)


def border_into_conv(editor: Editor, node: Node) -> bool:
    """Conv(Pad(x)) with a border of zeros: add to the pads."""
    if node.op != "Conv":
        return False
    before = editor.producer(node.inputs[0])
    if before is None or before.op != "Pad" or before.attributes.get("mode") != "constant":
        return False
    border = editor.constants[before.inputs[1]].reshape(2, -1)
    if border[:, :BATCH_AND_CHANNEL].any() or (border < 0).any():
        return False
    pads = np.reshape(node.attributes["pads"], (2, -1)) + border[:, BATCH_AND_CHANNEL:]
    editor.drop(before)
    attributes = {**node.attributes, "pads": pads.ravel().tolist()}
    editor.add(replace(node, inputs=(before.inputs[0], *node.inputs[1:]), attributes=attributes))
    return True


def order_into_matmul(editor: Editor, node: Node) -> bool:
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
    return reweight(editor, moved, [weight[rows]], node.output)
