"""Convolutions to few channels: rows as channels against the convolutions as they are."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.onnx_models import model, node

import onnx2genn
from onnx2genn.backends.embedded import codes
from onnx2genn.backends.embedded.lanes import with_rows_as_channels
from onnx2genn.backends.registry import open_simulator
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
    convolves = Node(
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
        nodes=(convolves,),
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
    (conv,) = (item for item in found.nodes if item.op == "Conv")
    assert set(found.constants) == {name for item in found.nodes for name in item.inputs[1:]}
    assert len(found.constants[conv.inputs[1]]) == rows * channels
    (wanted,), (got,) = (Runner(item.to_onnx())({"x": x}).values() for item in (segment, found))
    np.testing.assert_array_equal(got, wanted)


def test_codes_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    weights = {"w0": random.normal(size=(4, 2, 3, 3)), "w1": random.normal(size=(144, 3))}
    nodes = [
        node("Conv", "x w0", "z", pads=[1] * 4),
        node("Relu", "z", "a"),
        node("Flatten", "a", "f"),
        node("MatMul", "f w1", "y"),
    ]
    proto = model(
        nodes,
        {"x": ["N", 2, 6, 6]},
        {name: array.astype(np.float32) for name, array in weights.items()},
    )
    x = random.normal(size=(20, 2, 6, 6)).astype(np.float32)
    network = onnx2genn.convert(proto, x)
    kernels, found = [], []
    for lanes in (0, LANES):
        monkeypatch.setattr(codes, "block_size", lambda lanes=lanes: lanes)
        sizes = {
            item.name: tuple(item.dims) for item in codes.model_of_codes(network).graph.initializer
        }
        kernels.append([size for size in sizes.values() if len(size) == 4])
        with open_simulator(network, "onnxruntime") as simulator:
            found.append(simulator.run(x, record=True))
    assert kernels == [[(4, 2, 3, 3)], [(12, 2, 5, 3)]]
    plain, wide = found
    (name,) = (item.name for item in network.populations)
    # Another order of summation may tip a level where a sum lies on its edge.
    assert np.mean(wide.codes[name] == plain.codes[name]) > 0.999
    np.testing.assert_allclose(wide.logits, plain.logits, atol=0.02 * np.abs(plain.logits).max())


def test_groups_stay_as_they_are() -> None:
    segment, _ = convolution(4, 3, 1, [1, 0, 1, 0], bias=False, group=2)
    assert with_rows_as_channels(segment, LANES) == segment
