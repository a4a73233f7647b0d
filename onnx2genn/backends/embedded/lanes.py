"""Convolutions to few channels, in vector instructions that compute more of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Node, Shape, live
from onnx2genn.ir.segment import Segment

_PLANAR = 4  # axes of the weights
_LEAST_GAIN = 1.25  # below that, the change of layout costs as much


def with_rows_as_channels(segment: Segment, lanes: int) -> Segment:
    """Compute several rows of a map as channels of their own where that takes less.

    onnxruntime pads the C channels of a convolution to whole blocks. With C too small for one, k
    rows that lie below each other are k C channels of a convolution whose kernel is the same for
    each, moved by a stride::

        w'[c k + d, :, d s : d s + h] = w[c]   for d < k;  its stride is k s

    It has h + (k - 1) s rows of weights, most of them equal, in place of k h.

    Args:
        segment: The map.
        lanes: Channels of a block.
    """
    builder = Builder(segment.target, taken={*segment.shapes, *segment.constants})
    for node in segment.nodes:
        rows = _rows(node, segment, lanes)
        if rows == 1:
            builder.add(node)
        else:
            _write(builder, node, rows, segment.constants, segment.shapes[node.output])
    nodes, constants = live(
        builder.nodes, {**segment.constants, **builder.constants}, [segment.target]
    )
    return replace(segment, nodes=tuple(nodes), constants=constants)


def _rows(node: Node, segment: Segment, lanes: int) -> int:
    """Return how many rows at once are cheapest."""
    weight = segment.constants.get(node.inputs[1]) if node.op == "Conv" else None
    if weight is None or weight.ndim != _PLANAR or node.attributes["group"] != 1:
        return 1
    if node.attributes["dilations"][0] != 1:
        return 1
    channels, _, height, _ = weight.shape
    stride, rows = node.attributes["strides"][0], segment.shapes[node.output][1]
    gains = {
        k: k * height / (height + (k - 1) * stride)
        for k in range(2, lanes // channels + 1)
        if rows % k == 0
    }
    best = max(gains, key=lambda k: gains[k], default=1)
    return best if gains.get(best, 1) >= _LEAST_GAIN else 1


def _write(
    builder: Builder, node: Node, k: int, constants: Mapping[str, np.ndarray], shape: Shape
) -> None:
    weight, *bias = (constants[name] for name in node.inputs[1:])
    channels, within, height, width = weight.shape
    stride = node.attributes["strides"][0]
    wide = np.zeros((channels, k, within, height + (k - 1) * stride, width), weight.dtype)
    for row in range(k):
        wide[:, row, :, row * stride : row * stride + height] = weight
    given = {
        **node.attributes,
        "kernel_shape": [*wide.shape[3:]],
        "strides": [k * stride, node.attributes["strides"][1]],
    }
    operands = [wide.reshape(-1, *wide.shape[2:]), *(np.repeat(item, k) for item in bias)]
    rows = builder.emit("Conv", node.inputs[0], *operands, **given)
    apart = np.array([0, channels, k, shape[1] // k, shape[2]])
    parted = builder.emit("Reshape", rows, apart)
    turned = builder.emit("Transpose", parted, perm=[0, 1, 3, 2, 4])
    builder.emit("Reshape", turned, np.array([0, *shape]), output=node.output)
