"""Segments lowered to convolutions, matrices and lists of weights, against onnxruntime."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from helpers.onnx_models import ints, model, node, normal

from onnx2genn.backends.genn.lowering.convolution import Convolution, sparse_matrix
from onnx2genn.backends.genn.lowering.matrix import compose
from onnx2genn.backends.genn.lowering.projection import Dense, Linear, Sparse, lower, neuron_order
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.run import session
from onnx2genn.ir.segment import Segment


def segment(
    nodes: Sequence[onnx.NodeProto],
    weights: dict[str, np.ndarray],
    *shape: int,
) -> Segment:
    return read(model(nodes, {"x": ["N", *shape]}, weights)).parts.readout


def by_onnxruntime(part: Segment) -> np.ndarray:
    """Return A of a segment with one source, [target, source], column by column."""
    shape = part.shapes["x"]
    size = int(np.prod(shape))
    units = np.concatenate([np.zeros((1, size)), np.eye(size)]).astype(np.float32)
    (answer,) = session(part.to_onnx()).run(None, {"x": units.reshape(-1, *shape)})
    answer = answer.reshape(len(units), -1)
    return (answer[1:] - answer[0]).T


def convolution_matrix(item: Convolution) -> np.ndarray:
    """Write a convolution as a matrix [target, source] by its equation."""
    matrix = np.zeros((*item.target, *item.source))
    taps = itertools.product(*map(range, item.kernel.shape[2:]))
    for tap in taps:
        for at in itertools.product(*map(range, item.target[1:])):
            read_at = tuple(
                s * p + d * k - pad
                for s, p, d, k, pad in zip(
                    item.strides, at, item.dilations, tap, item.pads, strict=True
                )
            )
            if not all(0 <= i < n for i, n in zip(read_at, item.source[1:], strict=True)):
                continue
            for o, fan_in in enumerate(item.inputs):
                for i, channel in enumerate(fan_in):
                    weight = item.kernel[(o, i, *tap)]
                    matrix[(item.first + o, *at, channel, *read_at)] += weight
    return matrix.reshape(np.prod(item.target), -1)


def matrix_of(item: Linear, part: Segment, source: str = "x") -> np.ndarray:
    """Return what a lowered projection computes as a matrix in ONNX order."""
    if isinstance(item, Convolution):
        return convolution_matrix(item)
    rows, columns = neuron_order(part.shapes[source]), neuron_order(part.shape)
    weights = item.matrix if isinstance(item, Dense) else item.matrix.toarray()
    matrix = np.zeros_like(weights)
    matrix[np.ix_(rows, columns)] = weights
    return matrix.T


def conv(out: int, fan_in: int, *kernel: int) -> dict[str, np.ndarray]:
    return {"w": normal(out, fan_in, *kernel), "b": normal(out)}


POOL = {"kernel_shape": [2, 2], "strides": [2, 2]}
CHAINS = {
    "asymmetric pads, stride 2": (
        [node("Conv", "x w b", "y", pads=[0, 1, 2, 1], strides=[2, 2])],
        conv(4, 3, 3, 3),
        (3, 7, 6),
    ),
    "dilation": (
        [node("Conv", "x w", "y", dilations=[2, 1], pads=[1, 1, 1, 1])],
        conv(2, 3, 3, 2),
        (3, 7, 6),
    ),
    "stride 3, kernel 2": ([node("Conv", "x w", "y", strides=[3, 3])], conv(2, 3, 2, 2), (3, 8, 7)),
    "groups": ([node("Conv", "x w", "y", group=2, pads=[1] * 4)], conv(4, 2, 3, 3), (4, 5, 5)),
    "depthwise": ([node("Conv", "x w", "y", group=3, pads=[1] * 4)], conv(3, 1, 3, 3), (3, 5, 5)),
    "depth multiplier": ([node("Conv", "x w", "y", group=3)], conv(6, 1, 3, 3), (3, 5, 5)),
    "one axis": ([node("Conv", "x w b", "y", strides=[2], pads=[2, 1])], conv(4, 3, 5), (3, 11)),
    "pool with a remainder": (
        [node("AveragePool", "x", "p", **POOL), node("Conv", "p w b", "y")],
        conv(4, 3, 2, 2),
        (3, 7, 7),
    ),
    "pool, then pads": (
        [node("AveragePool", "x", "p", **POOL), node("Conv", "p w b", "y", pads=[1, 1, 1, 1])],
        conv(4, 3, 3, 3),
        (3, 8, 8),
    ),
    "global mean": (
        [node("GlobalAveragePool", "x", "p"), node("Conv", "p w b", "y")],
        conv(4, 3, 1, 1),
        (3, 4, 5),
    ),
    "separable": (
        [node("Conv", "x w", "m", group=3, pads=[1] * 4, strides=[2, 2]), node("Conv", "m v", "y")],
        {**conv(3, 1, 3, 3), "v": normal(5, 3, 1, 1)},
        (3, 6, 6),
    ),
    "grouped, then mixed": (
        [node("Conv", "x w", "m", group=2), node("Conv", "m v", "y", dilations=[2, 2])],
        {**conv(4, 2, 2, 2), "v": normal(5, 4, 2, 2)},
        (4, 6, 6),
    ),
    "factor of each channel": (
        [node("Conv", "x w b", "m"), node("Mul", "m s", "y")],
        {**conv(4, 3, 3, 3), "s": normal(4, 1, 1)},
        (3, 5, 5),
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_chains_become_one_convolution(name: str) -> None:
    nodes, weights, shape = CHAINS[name]
    used = {key: value for key, value in weights.items() if any(key in n.input for n in nodes)}
    part = segment(nodes, used, *shape)
    found = lower(part, "x")
    assert isinstance(found, Convolution)
    wanted = by_onnxruntime(part)
    np.testing.assert_allclose(matrix_of(found, part), wanted, atol=2e-5)
    np.testing.assert_allclose(compose(part, "x").toarray(), wanted, atol=2e-5)
    rows, columns = neuron_order(part.shapes["x"]), neuron_order(part.shape)
    np.testing.assert_allclose(
        sparse_matrix(found.in_planes()).toarray(), wanted.T[np.ix_(rows, columns)], atol=2e-5
    )


SPARSE = {
    "pool with a remainder, then pads": (
        [node("AveragePool", "x", "p", **POOL), node("Conv", "p w b", "y", pads=[1, 1, 1, 1])],
        conv(4, 3, 3, 3),
        (3, 7, 7),
    ),
    "pads that do not count": (
        [
            node("AveragePool", "x", "p", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
            node("Conv", "p w b", "y"),
        ],
        conv(4, 3, 1, 1),
        (3, 6, 6),
    ),
    "pads that count": (
        [
            node(
                "AveragePool", "x", "y",
                kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1,
            )
        ],
        {},
        (3, 6, 6),
    ),
    "ceil": ([node("AveragePool", "x", "y", ceil_mode=1, **POOL)], {}, (3, 5, 5)),
    "three axes": (
        [node("Conv", "x w", "y", pads=[1, 0, 0, 0, 1, 0])],
        conv(2, 2, 2, 2, 2),
        (2, 3, 4, 3),
    ),
    "a fork": (
        [node("Conv", "x w b", "m", pads=[1] * 4), node("Add", "m x", "y")],
        conv(3, 3, 3, 3),
        (3, 4, 4),
    ),
    "moved": (
        [
            node("Transpose", "x", "t", perm=[0, 2, 3, 1]),
            node("Pad", "t pads", "p", mode="reflect"),
            node("Slice", "p starts ends axes", "s"),
            node("Gather", "s picked", "y", axis=3),
        ],
        {
            "pads": ints(0, 1, 0, 0, 0, 2, 0, 0), "starts": ints(1), "ends": ints(6),
            "axes": ints(1), "picked": ints(2, 0),
        },
        (3, 5, 4),
    ),
    "sum over an axis": (
        [node("ReduceSum", "x axes", "y", keepdims=0)],
        {"axes": ints(2)},
        (3, 4, 5),
    ),
    "groups of rows by a matrix each": (
        [node("MatMul", "x w", "y")],
        {"w": normal(3, 5, 7)},
        (3, 4, 5),
    ),
    "rows by a matrix": ([node("MatMul", "x w", "y")], {"w": normal(5, 7)}, (3, 4, 5)),
    "joined with itself": ([node("Concat", "x x", "y", axis=1)], {}, (3, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", SPARSE)
def test_other_maps_become_lists_of_weights(name: str) -> None:
    part = segment(*SPARSE[name][:2], *SPARSE[name][2])
    found = lower(part, "x")
    assert isinstance(found, Sparse)
    wanted = by_onnxruntime(part)
    np.testing.assert_allclose(compose(part, "x").toarray(), wanted, atol=2e-5)
    np.testing.assert_allclose(matrix_of(found, part), wanted, atol=2e-5)


def test_products_after_pooling_and_flattening_are_dense() -> None:
    part = segment(
        [
            node("AveragePool", "x", "p", **POOL),
            node("Flatten", "p", "f"),
            node("Gemm", "f w b", "y"),
        ],
        {"w": normal(12, 5), "b": normal(5)},
        3, 5, 4,
    )  # fmt: skip
    found = lower(part, "x")
    # A row and a column of every plane are left over by the pooling: 12 / 20 of the weights remain.
    assert isinstance(found, Dense)
    np.testing.assert_allclose(matrix_of(found, part), by_onnxruntime(part), atol=1e-5)


def test_flattening_permutes_rows_of_a_product() -> None:
    part = segment(
        [node("Flatten", "x", "f"), node("Gemm", "f w", "y")], {"w": normal(60, 5)}, 3, 5, 4
    )
    found = lower(part, "x")
    assert isinstance(found, Dense)
    np.testing.assert_array_equal(matrix_of(found, part), by_onnxruntime(part))


@pytest.mark.parametrize("pooled", [False, True])
def test_joined_branches_are_split(pooled: bool) -> None:
    """Conv(Concat(a, b)) reads some input channels each, Concat(Conv, Conv) writes some outputs."""
    weights = {"w": normal(4, 5, 2, 2), "v": normal(2, 2, 1, 1), "u": normal(3, 2, 1, 1)}
    nodes = [
        node("Conv", "x v", "p"),
        node("Relu", "p", "a"),
        node("Conv", "x u", "q"),
        node("Relu", "q", "b"),
        node("Concat", "a b", "c", axis=1),
    ]
    nodes += [node("AveragePool", "c", "d", **POOL)] if pooled else []
    nodes += [node("Conv", f"{'d' if pooled else 'c'} w", "y")]
    part = read(model(nodes, {"x": ["N", 2, 6, 6]}, weights)).parts.readout
    for source, channels in (("a", slice(0, 2)), ("b", slice(2, 5))):
        found = lower(part, source)
        assert isinstance(found, Convolution)
        assert found.source[0] == channels.stop - channels.start
        np.testing.assert_allclose(
            matrix_of(found, part, source), compose(part, source).toarray(), atol=1e-6
        )
    joined = [*nodes[:4], node("Conv", "a s", "e"), node("Concat", "e b", "y", axis=1)]
    used = {"v": weights["v"], "u": weights["u"], "s": normal(4, 2, 1, 1)}
    part = read(model(joined, {"x": ["N", 2, 6, 6]}, used)).parts.readout
    found = lower(part, "a")
    assert isinstance(found, Convolution)
    assert (found.first, found.target) == (0, (7, 6, 6))
    np.testing.assert_allclose(matrix_of(found, part, "a"), compose(part, "a").toarray(), atol=1e-6)
