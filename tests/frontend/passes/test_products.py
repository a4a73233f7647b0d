"""Products of two tensors: equal to the model, and as exact as the levels of spikes allow."""

import numpy as np
import pytest
from helpers.onnx_models import check_model, ints, model, node, normal, one_node

import onnx2genn
from onnx2genn import CodingError
from onnx2genn.frontend.pipeline import check, fit, read
from onnx2genn.ir.run import session

SQUEEZE = [
    node("Conv", "x w0", "c", pads=[1, 1, 1, 1]),
    node("Relu", "c", "f"),
    node("GlobalAveragePool", "f", "m"),
    node("Conv", "m w1", "e"),
    node("Relu", "e", "h"),
    node("Conv", "h w2", "g"),
    node("Sigmoid", "g", "s"),
    node("Mul", "s f", "p", name="gate"),
    node("GlobalAveragePool", "p", "q"),
    node("Flatten", "q", "r"),
    node("Gemm", "r w3", "y"),
]


def gated():
    """A block of squeeze and excitation."""
    weights = {
        "w0": normal(6, 3, 3, 3, scale=0.3),
        "w1": normal(2, 6, 1, 1, scale=3.0),
        "w2": normal(6, 2, 1, 1, scale=3.0),
        "w3": normal(6, 4),
    }
    return model(SQUEEZE, {"x": ["N", 3, 6, 6]}, weights)


def products(*nodes, shape=(4,), **weights):
    given = {"w": normal(4, 4, seed=1), "v": normal(4, 4, seed=2), **weights}
    found = check_model(model(list(nodes), {"x": ["N", *shape]}, given))
    assert found.unfitted is not None
    return found


@pytest.mark.parametrize("op", ["Mul", "Div"])
def test_two_branches(op):
    positive = [node("MatMul", "x v", "b0"), node("Exp", "b0", "b")]
    found = products(node("MatMul", "x w", "a"), *positive, node(op, "a b", "y"))
    assert [item.kind for item in found.parts.populations][-2:] == ["Function", "Function"]


def test_populations_have_the_name_of_the_product():
    found = read(gated())
    assert [item.node.name for item in found.parts.populations[-2:]] == ["gate", "gate/difference"]


def test_a_product_of_a_constant_channel():
    """An operand that is always zero in the samples has no range to be scaled by."""
    network = onnx2genn.convert(
        model(
            [
                node("MatMul", "x w", "a"),
                node("Relu", "a", "r"),
                node("MatMul", "x v", "b"),
                node("Mul", "r b", "y"),
            ],
            {"x": ["N", 4]},
            {"w": np.zeros((4, 4), "f4"), "v": normal(4, 4)},
        ),
        normal(64, 4),
    )
    assert (network.predict(normal(8, 4), backend="onnxruntime") == 0).all()


@pytest.mark.parametrize(("steps", "error"), [(6, 0.1), (10, 0.01), (14, 0.001)])
def test_the_error_halves_with_every_step(steps, error):
    proto, x = gated(), normal(256, 3, 6, 6, seed=7)
    network = onnx2genn.convert(proto, x, steps=steps)
    (wanted,) = session(proto).run(None, {"x": x})
    got = network.predict(x, backend="onnxruntime")
    assert np.sqrt(np.mean((got - wanted) ** 2)) < error * wanted.std()


def test_ranges_of_the_samples_make_the_squares_small():
    """Squares of deviations from the middle reach a quarter of what the product reaches."""
    nodes = [
        node("MatMul", "x w", "z"),
        node("Sigmoid", "z", "a"),
        node("MatMul", "x v", "u"),
        node("Relu", "u", "b"),
        node("Mul", "a b", "y"),
    ]
    proto = model(nodes, {"x": ["N", 4]}, {"w": normal(4, 4), "v": 1e3 * normal(4, 4, seed=1)})
    x = normal(250, 4, seed=3)
    found = fit(read(proto), x)
    squares = [item.tensor for item in found.parts.populations if item.kind == "Function"]
    values = session(found.to_onnx(["a", "b", *squares])).run(["a", "b", *squares], {"x": x})
    halves = [np.ptp(item, axis=0) / 2 for item in values[:2]]
    for square in values[2:]:
        assert (square.max(axis=0) < 2 * halves[0] * halves[1]).all()
        assert (square.max(axis=0) > 0.1 * halves[0] * halves[1]).all()


def test_a_saved_network_keeps_the_ranges(tmp_path):
    x = normal(128, 3, 6, 6, seed=7)
    network = onnx2genn.convert(gated(), x)
    network.save(tmp_path / "gated.onnx")
    again = onnx2genn.load(tmp_path / "gated.onnx")
    assert len(again.populations) == len(network.populations)
    answers = (item.predict(x, backend="onnxruntime") for item in (again, network))
    np.testing.assert_allclose(*answers, rtol=1e-5, atol=1e-5)


def test_without_samples():
    network = onnx2genn.convert(gated())
    assert np.isfinite(network.predict(normal(4, 3, 6, 6), backend="onnxruntime")).all()


def test_without_samples_digits_are_kept_where_random_inputs_show_no_range():
    """Of inputs that hardly reach its Relu, an operand seems to be narrow; others reach it."""
    nodes = [
        node("Sub", "x far", "s"),
        node("Relu", "s", "a"),
        node("MatMul", "x v", "b"),
        node("Mul", "a b", "y"),
    ]
    far = np.float32([2.999, 2.999, -3, -3])
    proto = model(nodes, {"x": ["N", 4]}, {"far": far, "v": normal(4, 4, seed=2)})
    x = 10 * normal(64, 4, seed=3)
    (wanted,) = session(proto).run(["y"], {"x": x})
    (got,) = session(read(proto).to_onnx()).run(["y"], {"x": x})
    np.testing.assert_allclose(got, wanted, atol=2e-6 * np.abs(wanted).max())


def test_codings_that_fire_while_they_integrate_refuse():
    with pytest.raises(CodingError, match="gate"):
        onnx2genn.convert(gated(), normal(16, 3, 6, 6), coding="rate")


def test_several_inputs_are_multiplied():
    proto = model([node("Mul", "a b", "y")], {"a": ["N", 3], "b": ["N", 3]}, {})
    a, b = normal(200, 3, seed=1), normal(200, 3, seed=2)
    network = onnx2genn.convert(proto, {"a": a, "b": b}, steps=12)
    got = network.predict({"a": a, "b": b}, backend="onnxruntime")
    np.testing.assert_allclose(got, a * b, atol=0.01 * np.abs(a * b).max())


def test_gated_linear_unit():
    nodes = [
        node("MatMul", "x w", "a"),
        node("Split", "a parts", "left right", axis=1),
        node("Sigmoid", "right", "gate"),
        node("Mul", "left gate", "y"),
    ]
    products(*nodes, parts=ints(2, 2))


def relays(found):
    return [item.node.name for item in found.parts.populations if item.kind == "Identity"]


def test_sums_of_many_neurons_are_relayed():
    """Squares then read one neuron for each operand; what neurons send themselves they read."""
    nodes = [
        node("MatMul", "x w", "a", name="left"),
        node("MatMul", "x v", "z"),
        node("Sigmoid", "z", "b"),
        node("Mul", "a b", "y", name="gate"),
    ]
    found = products(*nodes)
    assert relays(found) == ["left/relay"]
    squares = [item for item in found.parts.populations if item.kind == "Function"]
    assert all(item.segment.sources == ("a", "b") for item in squares)
    assert relays(read(gated())) == []


def test_sums_of_products_are_relayed_before_they_are_summed_again():
    shape = (3, 4)
    nodes = [
        node("MatMul", "x w", "q", name="query"),
        node("MatMul", "x v", "k0", name="key"),
        node("Transpose", "k0", "k", perm=[0, 2, 1]),
        node("MatMul", "q k", "s", name="scores"),
        node("MatMul", "s u", "y"),
    ]
    found = products(*nodes, shape=shape, u=normal(3, 2))
    assert len(relays(found)) == 3
    assert found.parts.readout.sources == ("s",)
    found = products(*nodes[:-1], node("Relu", "s", "y"), shape=shape)
    assert len(relays(found)) == 2


def test_too_many_neurons_are_refused():
    """Attention over 1024 tokens of 64 features: 134 million squares for each matrix product."""
    nodes = [
        node("Transpose", "x", "k", perm=[0, 2, 1]),
        node("MatMul", "x k", "s", name="scores"),
        node("Softmax", "s", "w", axis=-1),
        node("MatMul", "w x", "y", name="mix"),
    ]
    (problem,) = check(model(nodes, {"x": ["N", 1024, 64]}))
    assert (problem.node, problem.operator) == ("scores", "MatMul")
    assert "134,217,728 neurons" in problem.reason
    assert "268,435,456" in problem.reason
    assert not check(model(nodes, {"x": ["N", 16, 64]}))


def test_too_many_neurons_of_one_operator():
    """The second of its products, which has no node of its own in the model, is the larger."""
    shapes = [(2, 1024, 16), (2, 1024, 16), (2, 1024, 64)]
    (problem,) = check(one_node("Attention", shapes, opset=23))
    assert "268,435,456 neurons" in problem.reason
