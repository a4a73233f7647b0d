"""The batch on another axis than the first, and merged with others."""

import numpy as np
import pytest
from helpers.onnx_models import check_model, ints, model, node, normal

from onnx2genn.errors import UnsupportedModelError
from onnx2genn.frontend.pipeline import check, read
from onnx2genn.ir.run import session

WEIGHTS = {"w": normal(4, 6), "b": normal(6), "c": normal(5, 1, 6), "w2": normal(6, 3)}


def sequence_first(*within, weights=None, batch="N", **shapes):
    """Move the batch to the second axis, compute, and move it back."""
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        *within,
        node("Transpose", "u", "y", perm=[1, 0, 2]),
    ]
    return model(nodes, {"x": [batch, 5, 4]}, {**WEIGHTS, **(weights or {})})


def test_a_linear_layer():
    found = check_model(sequence_first(node("MatMul", "t w", "a"), node("Add", "a b", "u")))
    assert found.graph.shapes["y"] == (5, 6)


@pytest.mark.parametrize(
    "within",
    [
        [node("MatMul", "t w", "a"), node("Add", "a c", "h"), node("Relu", "h", "u")],
        [node("MatMul", "t w", "a"), node("Softmax", "a", "s", axis=2), node("Exp", "s", "u")],
        [node("Split", "t", "s0 s1", axis=2), node("Concat", "s1 s0 t", "u", axis=-1)],
        [node("Slice", "t one three zero", "u")],
        [node("Pad", "t margins", "u")],
        [
            node("Reshape", "t merged", "m"),
            node("MatMul", "side m", "o"),
            node("Reshape", "o parted", "u"),
        ],
        [node("Gather", "t picked", "u", axis=0)],
        [node("ReduceMean", "t", "m", axes=[2]), node("Add", "t m", "u")],
        [
            node("MatMul", "t w", "a"),
            node("LayerNormalization", "a b b", "l", axis=-1),
            node("Add", "a l", "u"),
        ],
    ],
    ids=["bias", "softmax", "parts", "slice", "pad", "left", "gather", "mean", "norm"],
)
def test_operators(within):
    positions = {"zero": ints(0), "one": ints(1), "three": ints(3), "picked": ints(2, 0)}
    positions |= {"merged": ints(-1, 2, 2), "parted": ints(5, -1, 4), "side": normal(2, 2)}
    positions["margins"] = ints(1, 0, 0, 2, 0, 1)
    found = check_model(sequence_first(*within, weights=positions))
    assert found.error < 1e-4


def test_rows_of_all_samples_in_one_matrix():
    """A linear layer as Gemm, on [length * batch, features], or [batch * length, features]."""
    rows = [node("Reshape", "t flat", "r"), node("Gemm", "r w b", "g", alpha=0.5, beta=2.0)]
    back = [node("Reshape", "g steps", "u")]
    shapes = {"flat": ints(-1, 4), "steps": ints(5, -1, 6)}
    check_model(sequence_first(*rows, *back, weights=shapes))
    rows[0] = node("Reshape", "x flat", "r")
    back = [node("Relu", "g", "h"), node("Reshape", "h steps", "y")]
    shapes["steps"] = ints(-1, 5, 6)
    check_model(model([*rows, *back], {"x": ["N", 5, 4]}, {**WEIGHTS, **shapes}))


def heads(batch):
    """Self-attention of two heads as PyTorch writes it, batch and heads in one axis."""
    nodes = [node("Transpose", "x", "t", perm=[1, 0, 2])]
    for name in "qkv":
        nodes += [
            node("MatMul", f"t w{name}", f"{name}0"),
            node("Reshape", f"{name}0 merged", f"{name}1"),
            node("Transpose", f"{name}1", f"{name}2", perm=[1, 0, 2]),
        ]
    nodes += [
        node("Transpose", "k2", "k3", perm=[0, 2, 1]),
        node("MatMul", "q2 k3", "scores", name="scores"),
        node("Softmax", "scores", "weights", axis=-1),
        node("MatMul", "weights v2", "mixed", name="mix"),
        node("Transpose", "mixed", "m0", perm=[1, 0, 2]),
        node("Reshape", "m0 flat", "m1"),
        node("Gemm", "m1 wo b", "m2"),
        node("Reshape", "m2 steps", "m3"),
        node("Transpose", "m3", "y", perm=[1, 0, 2]),
    ]
    open_batch = isinstance(batch, str)
    weights = {f"w{name}": normal(4, 4, seed=index) for index, name in enumerate("qkv")}
    weights |= {"wo": normal(4, 6), "b": normal(6), "flat": ints(-1, 4)}
    weights["merged"] = ints(5, -1 if open_batch else 2 * batch, 2)
    weights["steps"] = ints(5, -1 if open_batch else batch, 6)
    if not open_batch:
        weights["flat"] = ints(5 * batch, 4)
    return model(nodes, {"x": [batch, 5, 4]}, weights)


def test_heads_beside_the_batch():
    found = check_model(heads("N"))
    assert "scores" in [item.node.name for item in found.parts.populations]


@pytest.mark.parametrize("batch", [1, 3])
def test_heads_beside_a_batch_of_fixed_size(batch):
    proto = heads(batch)
    found = read(proto)
    x = normal(batch, 5, 4)
    (wanted,) = session(proto).run(["y"], {"x": x})
    (got,) = session(found.to_onnx()).run(["y"], {"x": x})
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
    (more,) = session(found.to_onnx()).run(["y"], {"x": np.concatenate([x, -x])})
    np.testing.assert_allclose(more[:batch], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "within",
    [
        [node("Softmax", "t", "u", axis=1)],
        [node("ReduceMean", "t", "m", axes=[1]), node("Add", "t m", "u")],
        [node("MatMul", "t w", "a"), node("Concat", "a a", "u", axis=1)],
    ],
    ids=["softmax", "mean", "concat"],
)
def test_samples_that_mix_are_refused(within):
    proto = sequence_first(*within)
    problems = check(proto)
    assert problems
    assert "batch" in problems[0].reason
    with pytest.raises(UnsupportedModelError):
        read(proto)


def test_a_state_for_each_sample_beside_steps_of_a_sequence():
    """A recurrent layer as PyTorch's new exporter writes it: its first state repeats zeros."""
    nodes = [
        node("Shape", "x", "n", start=0, end=1),
        node("Concat", "one n six", "size", axis=0),
        node("Expand", "zero size", "h0"),
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        node("MatMul", "t w", "steps"),
        node("Gather", "steps first", "s0", axis=0),
        node("Gather", "steps second", "s1", axis=0),
        node("MatMul", "h0 r", "r0"),
        node("Add", "r0 s0", "a0"),
        node("Tanh", "a0", "h1"),
        node("MatMul", "h1 r", "r1"),
        node("Add", "s1 r1", "a1"),
        node("Tanh", "a1", "h2"),
        node("Concat", "h1 h2", "all", axis=0),
        node("Transpose", "all", "y", perm=[1, 0, 2]),
    ]
    weights = {
        **WEIGHTS,
        "r": normal(6, 6),
        "zero": np.zeros((1, 1, 1), np.float32),
        "one": ints(1),
        "six": ints(6),
        "first": np.array(0),
        "second": np.array(1),
    }
    found = check_model(model(nodes, {"x": ["N", 5, 4]}, weights))
    assert found.graph.shapes["y"] == (2, 6)


def test_where_only_the_shape_is_read_the_batch_may_be_anywhere():
    within = [node("Shape", "t", "n"), node("Expand", "zero n", "e"), node("Add", "t e", "u")]
    zero = {"zero": np.zeros((1, 1, 1), np.float32)}
    found = check_model(sequence_first(*within, weights=zero))
    assert found.graph.shapes["y"] == (5, 4)


def test_a_type_that_is_that_of_data_keeps_nothing_from_moving():
    nodes = [node("CastLike", "half t", "k"), node("Mul", "t k", "u")]
    proto = sequence_first(*nodes, weights={"half": np.full(1, 0.5, np.float64)})
    problems = check(proto)
    assert all("batch" in problem.reason for problem in problems)


def test_the_node_behind_which_samples_are_lost_is_named_in_place_of_many():
    """An unrolled network has one for each of its steps."""
    mixes = [node("CumSum", "t along", "m", name="mixes")]
    steps = [
        item
        for step in range(5)
        for item in (
            node("Gather", f"x at{step}", f"x{step}", axis=1),
            node("Unsqueeze", f"x{step} zero", f"row{step}"),
        )
    ]
    rows = " ".join(f"row{step}" for step in range(5))
    last = [node("Concat", rows, "k", axis=0), node("Add", "m k", "u")]
    positions = {f"at{step}": np.array(step) for step in range(5)}
    positions |= {"along": np.array(0), "zero": ints(0)}
    (problem,) = check(sequence_first(*mixes, *steps, *last, weights=positions))
    assert problem.node == "mixes"


def test_of_an_output_that_drops_the_batch_what_is_before_converts():
    """As of a file for one text: a score for each of its letters."""
    nodes = [
        node("MatMul", "x w", "rows"),
        node("Reshape", "rows flat", "y"),
    ]
    proto = model(nodes, {"x": [1, 5, 4]}, {"w": normal(4, 1), "flat": ints(-1)})
    (problem,) = check(proto)
    assert "--output" in problem.advice
    assert read(proto, output="rows").graph.shapes["rows"] == (5, 1)
