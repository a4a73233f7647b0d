"""Rounding within the layout of convolutions: faster, and the same to the last digit."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from helpers.onnx_models import model, node, normal

from onnx2genn.ir import blocked
from onnx2genn.ir.blocked import in_blocked_layout
from onnx2genn.ir.run import Runner

CHANNELS = 32  # a multiple of all sizes of blocks
BOUNDS = {"least": np.float32(0), "most": np.float32(15), "more": np.float32(7)}


def rounds(source: str, target: str, most: str = "most") -> list[onnx.NodeProto]:
    return [
        node("Clip", f"{source} least {most}", f"{target}/clip"),
        node("Floor", f"{target}/clip", target),
    ]


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    """Weights on a grid, whose sums are exact in every order."""
    values = np.random.default_rng([seed, *shape]).integers(-8, 9, shape)
    return values.astype(np.float32) / 8


def network(*, outputs: tuple[str, ...] = ("y",), most: str = "most") -> onnx.ModelProto:
    """Two populations behind convolutions, a shift before a border, a skip, a pool and a matrix."""
    nodes = [
        node("Conv", "x w0 b0", "c0", pads=[1] * 4),
        *rounds("c0", "r0"),
        node("Mul", "r0 scale", "m0"),
        node("Add", "m0 shift", "a0"),
        node("Conv", "a0 w1 b1", "c1", pads=[1] * 4),
        node("Mul", "r0 skip", "s0"),
        node("Add", "c1 s0", "t1"),
        *rounds("t1", "r1", most),
        node("MaxPool", "r1", "p1", kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", "p1", "g"),
        node("Flatten", "g", "f"),
        node("Gemm", "f w2 b2", "c2"),
        *rounds("c2", "r2"),
        node("MatMul", "r2 w3", "y"),
    ]
    constants = {
        **BOUNDS,
        "w0": weights(CHANNELS, 3, 3, 3),
        "b0": weights(CHANNELS) + np.float32(4),
        "scale": 2.0 ** weights(1, CHANNELS, 1, 1).round(),
        "shift": weights(1, CHANNELS, 1, 1, seed=1),
        "skip": weights(1, CHANNELS, 1, 1, seed=2),
        "w1": weights(CHANNELS, CHANNELS, 3, 3),
        "b1": weights(CHANNELS, seed=3),
        "w2": weights(CHANNELS, 16),
        "b2": weights(16),
        "w3": weights(16, 4),
    }
    return model(nodes, {"x": ["N", 3, 8, 8]}, constants, outputs=outputs)


def samples(count: int = 5) -> np.ndarray:
    return weights(count, 3, 8, 8, seed=9)


def has_blocked_layout() -> bool:
    """Whether onnxruntime has such a layout on this machine."""
    plain = model([node("Conv", "x w", "y")], {"x": ["N", 3, 8, 8]}, {"w": weights(32, 3, 3, 3)})
    found = blocked.optimised(plain)
    return found is not None and any(each.domain.endswith("nchwc") for each in found.graph.node)


@pytest.mark.parametrize("most", ["most", "more"], ids=["equal levels", "other levels"])
def test_the_same_is_computed(most: str) -> None:
    outputs = ("y", "r0", "r1", "r2")
    proto = network(outputs=outputs, most=most)
    assert in_blocked_layout(proto) is not None
    expected = Runner(proto, optimise=False)({"x": samples()})
    found = Runner(proto)({"x": samples()})
    assert len(np.unique(expected["r1"])) > 4
    for name in outputs:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_nothing_leaves_the_layout_to_be_rounded() -> None:
    if not has_blocked_layout():
        pytest.skip("onnxruntime has no blocked layout on this machine")
    found = in_blocked_layout(network())
    assert found is not None
    count = Counter(item.op_type for item in found.graph.node)
    assert count["ReorderOutput"] == 1
    assert count["ReorderInput"] == 0
    assert count["Floor"] == 3
    assert count["Tanh"] == count["Mul"] == count["Add"] == 0


def test_a_stand_in_is_none_of_the_operators_of_the_network() -> None:
    """Functions of neurons stay what they are."""
    proto = network()
    proto.graph.node[-1].output[0] = "z"
    proto.graph.node.append(node("Tanh", "z", "y"))
    assert in_blocked_layout(proto) is not None
    expected = Runner(proto, optimise=False)({"x": samples()})["y"]
    np.testing.assert_allclose(Runner(proto)({"x": samples()})["y"], expected, rtol=1e-6)
    proto.graph.node.extend([node("Sigmoid", "y", "s"), node("Relu", "s", "t")])
    assert in_blocked_layout(proto) is None


def test_other_models_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    conv = model([node("Conv", "x w", "y")], {"x": ["N", 3, 8, 8]}, {"w": normal(2, 3, 3, 3)})
    assert in_blocked_layout(conv) is None
    dense = [node("MatMul", "x w", "a"), *rounds("a", "y")]
    assert in_blocked_layout(model(dense, {"x": ["N", 3]}, {**BOUNDS, "w": normal(3, 2)})) is None
    monkeypatch.setattr(blocked, "MOST_BYTES", 1000)
    assert in_blocked_layout(network()) is None


def test_the_clipped_values_may_be_wanted() -> None:
    assert in_blocked_layout(network()) is not None
    proto = network(outputs=("y", "r0/clip"))
    expected = Runner(proto, optimise=False)({"x": samples()})
    found = Runner(proto)({"x": samples()})
    np.testing.assert_array_equal(found["r0/clip"], expected["r0/clip"])
    np.testing.assert_array_equal(found["y"], expected["y"])


def test_a_model_runs_as_it_was_where_onnxruntime_does_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = Runner(network(), optimise=False)({"x": samples()})["y"]
    unexpected = model([node("Relu", "x", "y")], {"x": ["N", 3, 8, 8]})
    for optimised in (unexpected, None):
        monkeypatch.setattr(blocked, "optimised", lambda _, found=optimised: found)
        assert in_blocked_layout(network()) is None
        np.testing.assert_array_equal(Runner(network())({"x": samples()})["y"], expected)
