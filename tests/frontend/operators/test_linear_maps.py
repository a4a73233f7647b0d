"""Operators that pick or sum elements in their own ways."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers.onnx_models import (
    check_model,
    check_op,
    ints,
    model,
    node,
    normal,
    one_node,
    operators,
)

import onnx2genn
from onnx2genn.frontend.operators import linear_maps
from onnx2genn.frontend.pipeline import check
from onnx2genn.ir.run import session


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("diagonal", [None, -1, 2])
def test_triangles(upper: int, diagonal: int | None) -> None:
    k = [] if diagonal is None else [np.array(diagonal)]
    check_op("Trilu", [(2, 3, 4), *k], upper=upper)


@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("axis", [1, -1, 2])
def test_running_sums(axis: int, reverse: int, exclusive: int) -> None:
    check_op("CumSum", [(3, 4, 2), np.array(axis)], reverse=reverse, exclusive=exclusive)


def test_reversed_sequences() -> None:
    proto = model(
        [node("ReverseSequence", "x n", "y", batch_axis=0, time_axis=1)],
        {"x": [2, 5, 3]},
        {"n": ints(3, 3)},
    )
    check_model(proto, batch=2)
    other = model(list(proto.graph.node), {"x": [2, 5, 3]}, {"n": ints(3, 4)})
    (problem,) = check(other)
    assert "differ between samples" in problem.reason


def test_cut_and_padded_at_the_centre() -> None:
    check_op("CenterCropPad", [(3, 7, 4), ints(4, 9)], opset=18, axes=[2, 3])
    check_op("CenterCropPad", [(3, 7, 4), ints(5)], opset=18, axes=[-2])


def test_blocks_into_an_image() -> None:
    check_op("Col2Im", [(8, 9), ints(4, 4), ints(2, 2)], opset=18)
    check_op("Col2Im", [(8, 12), ints(6, 5), ints(2, 2)], opset=18, strides=[2, 1])


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("options", [{}, {"onesided": 1}, {"inverse": 1}])
def test_fourier_transforms(options: dict[str, int], opset: int) -> None:
    parts = 2 if "inverse" in options else 1
    if opset >= 20:
        check_op("DFT", [(6, 3, parts), None, np.array(1)], opset=opset, **options)
    else:
        check_op("DFT", [(6, 3, parts)], opset=opset, axis=1, **options)


def test_fourier_transforms_of_a_length() -> None:
    check_op("DFT", [(6, 1), np.array(8), np.array(-2)], opset=20)


@pytest.mark.parametrize("window", [None, np.hanning(8).astype(np.float32)])
def test_spectrograms(window: np.ndarray | None) -> None:
    check_op("STFT", [(32, 1), np.array(4), window, np.array(8)])


def test_a_matrix_that_would_be_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_maps, "_MOST_WEIGHTS", 100)
    (problem,) = check(one_node("Col2Im", [(8, 9), ints(4, 4), ints(2, 2)], opset=18))
    assert "more than 100 weights" in problem.reason


def test_what_works_along_the_batch_is_refused() -> None:
    for proto in (one_node("CumSum", [(3,), np.array(0)]), one_node("Trilu", [(3,)])):
        (problem,) = check(proto)
        assert "along the batch axis" in problem.reason


@pytest.mark.parametrize("largest", [0, 1])
def test_the_largest_values_are_a_head(largest: int) -> None:
    nodes = [
        node("MatMul", "x w", "h"),
        node("Relu", "h", "r"),
        node("TopK", "r k", "y i", axis=1, largest=largest),
    ]
    proto = model(nodes, {"x": ["N", 4]}, {"w": normal(4, 6), "k": ints(2)})
    found = check_model(proto)
    assert operators(found)[-1] == "TopK"
    x = normal(64, 4)
    snn = onnx2genn.convert(proto, x, steps=12)
    (wanted,) = session(proto).run(["y"], {"x": x})
    np.testing.assert_allclose(
        snn.predict(x, backend="onnxruntime", heads=True), wanted, atol=0.01 * wanted.std()
    )


@pytest.mark.parametrize("op", ["ArgMin", "Hardmax"])
def test_other_heads(op: str) -> None:
    proto = one_node(op, [(6,)], axis=1)
    if op == "ArgMin":
        proto.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    found = check_model(proto)
    assert operators(found)[-1] == op
    assert not found.parts.populations


@pytest.mark.parametrize("op", ["ArgMin", "Hardmax", "TopK"])
def test_choices_within_a_network_are_refused(op: str) -> None:
    inputs = "x k" if op == "TopK" else "x"
    attributes = {} if op == "TopK" else {"axis": 1}
    nodes = [
        node(op, inputs, "a b" if op == "TopK" else "a", name="choice", **attributes),
        node("Cast", "a", "f", to=onnx.TensorProto.FLOAT),
        node("MatMul", "f w", "y"),
    ]
    size = {"ArgMin": 1, "Hardmax": 4, "TopK": 2}[op]
    weights = {"k": ints(2), "w": normal(size, 3)}
    problems = check(model(nodes, {"x": ["N", 4]}, weights))
    assert problems[0].node == "choice"


def test_whole_numbers_are_compared_as_the_file_takes_them() -> None:
    """Calibration samples with fractions, of an input that takes none, are no error."""
    proto = model([node("Trilu", "x", "y")], {"x": ["N", 3, 3]}, dtype=onnx.TensorProto.INT64)
    onnx2genn.convert(proto, normal(32, 3, 3, scale=5))


@pytest.mark.parametrize("options", [{}, {"interleaved": 1}, {"rotary_embedding_dim": 4}])
@pytest.mark.parametrize("heads_first", [True, False])
def test_rotations_by_position(options: dict[str, int], heads_first: bool) -> None:
    pairs = options.get("rotary_embedding_dim", 8) // 2
    angles = np.arange(10)[:, None] / 10.0 ** np.arange(pairs)
    caches = [function(angles).astype(np.float32) for function in (np.cos, np.sin)]
    positions = np.array([[0, 3, 4, 7, 2]])
    shape = (3, 5, 8) if heads_first else (5, 24)
    heads = {} if heads_first else {"num_heads": 3}
    nodes = [
        node("Shape", "x", "n", start=0, end=1),
        node("Concat", "n five", "s", axis=0),
        node("Expand", "positions s", "p"),
        node("RotaryEmbedding", "x cos sin p", "y", **options, **heads),
    ]
    weights = {"positions": positions, "five": ints(5), "cos": caches[0], "sin": caches[1]}
    check_model(model(nodes, {"x": ["N", *shape]}, weights, opset=23))
