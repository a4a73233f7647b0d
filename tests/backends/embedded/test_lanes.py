"""Convolutions to few channels: rows as channels against the convolutions as they are."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2genn.backends.embedded.lanes import with_rows_as_channels
from onnx2genn.ir.graph import Node
from onnx2genn.ir.run import Runner
from onnx2genn.ir.segment import Segment

LANES = 16


def convolution(
    channels: int, kernel: int, stride: int, pads: list[int], *, bias: bool, group: int = 1
) -> tuple[Segment, np.ndarray]:
    random = np.random.default_rng(0)
    weight = random.integers(-8, 9, (channels, 4 // group, kernel, 3)).astype(np.float32)
    constants = {"w": weight}
    if bias:
        constants["b"] = random.integers(-8, 9, channels).astype(np.float32)
    rows = (12 + pads[0] + pads[2] - kernel) // stride + 1
    columns = (11 + pads[1] + pads[3] - 3) // 2 + 1
    node = Node(
        op="Conv",
        inputs=("x", *constants),
        outputs=("y",),
        attributes={
            "dilations": [1, 1],
            "group": group,
            "kernel_shape": [kernel, 3],
            "pads": pads,
            "strides": [stride, 2],
        },
    )
    segment = Segment(
        sources=("x",),
        target="y",
        nodes=(node,),
        constants=constants,
        shapes={"x": (4, 12, 11), "y": (channels, rows, columns)},
    )
    return segment, random.integers(0, 2, (3, 4, 12, 11)).astype(np.float32)


@pytest.mark.parametrize(
    ("channels", "kernel", "stride", "pads", "rows"),
    [
        (8, 5, 1, [2, 1, 2, 1], 2),  # 12 rows, of which 2 fill the lanes
        (8, 3, 1, [0, 0, 0, 0], 2),
        (4, 3, 1, [1, 0, 1, 0], 4),
        (3, 3, 1, [1, 0, 1, 0], 4),  # five rows would fit, but not divide 12
        (1, 3, 1, [1, 0, 1, 0], 12),
        (8, 4, 2, [1, 0, 1, 0], 2),  # 6 rows
        (8, 4, 2, [1, 0, 2, 0], 2),  # the last row of the border is not read
        (8, 1, 1, [0, 0, 0, 0], 1),  # no weight would be shared
        (8, 3, 1, [1, 0, 2, 0], 1),  # 13 rows
        (9, 3, 1, [1, 0, 1, 0], 1),
        (16, 3, 1, [1, 0, 1, 0], 1),
    ],
)
@pytest.mark.parametrize("bias", [False, True])
def test_the_result_is_the_same(
    channels: int, kernel: int, stride: int, pads: list[int], rows: int, bias: bool
) -> None:
    segment, x = convolution(channels, kernel, stride, pads, bias=bias)
    found = with_rows_as_channels(segment, LANES)
    (conv,) = (node for node in found.nodes if node.op == "Conv")
    assert len(found.constants[conv.inputs[1]]) == rows * channels
    (wanted,), (got,) = (Runner(item.to_onnx())({"x": x}).values() for item in (segment, found))
    np.testing.assert_array_equal(got, wanted)


def test_groups_stay_as_they_are() -> None:
    segment, _ = convolution(4, 3, 1, [1, 0, 1, 0], bias=False, group=2)
    assert with_rows_as_channels(segment, LANES) == segment
