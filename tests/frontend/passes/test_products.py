"""Products of two tensors: equal to the model, and as exact as the levels of spikes allow."""

import numpy as np
import pytest
from helpers.onnx_models import check_model, ints, model, node, normal

import onnx2genn
from onnx2genn.evaluate.operations import SynapseCounter, macs
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.matrices import copies
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
    return check_model(model(list(nodes), {"x": ["N", *shape]}, given))


@pytest.mark.parametrize("op", ["Mul", "Div"])
def test_two_branches(op):
    positive = [node("MatMul", "x v", "b0"), node("Exp", "b0", "b")]
    found = products(node("MatMul", "x w", "a"), *positive, node(op, "a b", "y"))
    (population,) = found.parts.populations
    assert (population.kind, population.ports) == ("Function", 2)


def test_populations_have_the_name_of_the_product():
    assert read(gated()).parts.populations[-1].node.name == "gate"


def test_a_function_that_others_read_or_that_is_repeated_has_neurons_of_its_own():
    gate = [node("MatMul", "x w", "z"), node("Sigmoid", "z", "s"), node("MatMul", "x v", "b")]
    found = products(*gate, node("Mul", "s b", "p"), node("Add", "p s", "y"))
    assert [item.kind for item in found.parts.populations] == ["Sigmoid", "Function"]
    found = products(*gate, node("ReduceMean", "s", "m", axes=[1]), node("Mul", "m b", "y"))
    assert [item.kind for item in found.parts.populations] == ["Sigmoid", "Identity", "Function"]
    found = read(gated())
    assert [item.kind for item in found.parts.populations] == [
        "Relu",
        "Relu",
        "Sigmoid",
        "Function",
    ]


def test_activations_of_both_operands_are_computed_by_the_product():
    nodes = [
        node("MatMul", "x w", "z"),
        node("Mul", "z two", "d"),
        node("Tanh", "d", "t"),
        node("Mul", "t two", "a"),
        node("MatMul", "x v", "b0"),
        node("Relu", "b0", "b"),
        node("Mul", "a b", "y", name="gate"),
    ]
    (population,) = products(*nodes, two=np.float32(2)).parts.populations
    assert population.node.name == "gate"


def test_what_is_read_twice_is_computed_once():
    nodes = [
        node("MatMul", "x w", "a"),
        node("MatMul", "x v", "b"),
        node("Mul", "a b", "p"),
        node("Add", "p p", "d"),
        node("Mul", "d b", "q"),
        node("Mul", "q q", "y"),
    ]
    (population,) = products(*nodes).parts.populations
    assert population.ports == 2


def test_a_product_of_one_tensor_has_no_ports():
    """Constants that differ between channels keep it from being a function of one number."""
    nodes = [
        node("MatMul", "x w", "a"),
        node("Sigmoid", "a", "s"),
        node("Mul", "s gain", "g"),
        node("Mul", "g a", "y"),
    ]
    (population,) = products(*nodes, gain=normal(4)).parts.populations
    assert (population.ports, population.segment.shape) == (1, population.shape)


def test_matrices_of_the_input_are_evaluated():
    x = normal(20, 5, 3)
    network = onnx2genn.convert(attention(5, 3), x)
    assert network.evaluate(x, backend="onnxruntime").macs_per_sample == 2 * 5 * 5 * 3


def test_a_product_of_a_constant_channel():
    """An operand that is always zero in the samples."""
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


def test_a_saved_network(tmp_path):
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


@pytest.mark.parametrize("rule", ["mse", "max", "percentile", "spike-norm"])
def test_codings_that_fire_while_they_integrate(rule: str) -> None:
    x = normal(200, 3, 6, 6)
    network = onnx2genn.convert(gated(), x, "rate", steps=128, threshold=rule)
    assert any(item.is_function for item in network.populations)
    found = network.evaluate(x[:40], backend="onnxruntime")
    assert found.logits_error < 0.1
    assert found.latency_steps > 2 * network.coding.steps


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


def test_sums_that_many_products_read_are_relayed():
    nodes = [
        node("Relu", "x", "r"),
        node("ReduceMean", "r", "m", axes=[1], keepdims=1, name="mean"),
        node("Mul", "r m", "y", name="gate"),
    ]
    assert relays(products(*nodes)) == ["mean/relay"]
    assert relays(read(gated())) == []


def attention(length, width):
    nodes = [
        node("Transpose", "x", "k", perm=[0, 2, 1]),
        node("MatMul", "x k", "s", name="scores"),
        node("Softmax", "s", "w", axis=-1),
        node("MatMul", "w x", "y", name="mix"),
    ]
    return model(nodes, {"x": ["N", length, width]})


def test_products_of_matrices_have_a_neuron_for_each_element():
    """Factors that gather are sent by relays, so that a weight is what one neuron sends."""
    nodes = [
        node("MatMul", "x w", "q"),
        node("MatMul", "x v", "k0"),
        node("Transpose", "k0", "k", perm=[0, 2, 1]),
        node("MatMul", "q k", "s", name="scores"),
        node("MatMul", "s u", "y"),
    ]
    found = products(*nodes, shape=(3, 4), u=normal(3, 2))
    assert [item.kind for item in found.parts.populations] == ["Identity"] * 2 + ["MatrixProduct"]
    scores = found.parts.populations[-1]
    assert (scores.node.name, scores.shape, scores.depth) == ("scores", (3, 3), 1)
    assert found.parts.readout.sources == (scores.tensor,)


def test_every_element_of_a_matrix_is_read_by_a_row_or_a_column():
    found = read(attention(5, 3)).parts.populations
    mix = next(item for item in found if item.node.name == "mix")
    left, right = mix.port_segments
    (weights,) = left.sources
    assert copies(mix) == (3, 5)
    assert 3 * SynapseCounter(left).count({weights: np.ones((5, 5))}) == 5 * 5 * 3
    assert 3 * SynapseCounter(left).count({weights: np.eye(5)}) == 5 * 3
    assert 5 * SynapseCounter(right).count({"x": np.ones((5, 3))}) == 5 * 3 * 5


def test_macs_of_products_of_matrices():
    assert macs(read(attention(5, 3)).graph) == 2 * 5 * 5 * 3


def test_attention_over_many_tokens():
    """1024 tokens of 64 features have 134 million products in two million neurons."""
    found = read(attention(1024, 64)).parts
    assert found.neurons == 3 * 1024**2 + 2 * 1024 + 1024 * 64


def silu(x, y):
    return [node("Sigmoid", x, f"{y}_s"), node("Mul", f"{x} {y}_s", y)]


BLOCKS = {
    "gated perceptron": (
        [
            node("MatMul", "x w0", "a"),
            *silu("a", "g"),
            node("MatMul", "x w1", "b"),
            node("Mul", "g b", "p"),
            node("MatMul", "p w2", "y"),
        ],
        (6,),
        {"w0": normal(6, 16), "w1": normal(6, 16, seed=1), "w2": normal(16, 4)},
    ),
    "squeeze and excitation": (
        SQUEEZE,
        (3, 6, 6),
        {
            "w0": normal(6, 3, 3, 3, scale=0.3),
            "w1": normal(2, 6, 1, 1, scale=3.0),
            "w2": normal(6, 2, 1, 1, scale=3.0),
            "w3": normal(6, 4),
        },
    ),
    "layer normalisation": (
        [
            node("MatMul", "x w0", "a"),
            node("LayerNormalization", "a gain shift", "n"),
            node("Relu", "n", "r"),
            node("MatMul", "r w1", "y"),
        ],
        (6,),
        {"w0": normal(6, 16), "gain": normal(16), "shift": normal(16, seed=1), "w1": normal(16, 4)},
    ),
    "instance normalisation": (
        [
            node("Conv", "x w0", "a"),
            node("InstanceNormalization", "a gain shift", "n"),
            node("Relu", "n", "y"),
        ],
        (3, 6, 6),
        {"w0": normal(6, 3, 3, 3), "gain": normal(6), "shift": normal(6, seed=1)},
    ),
    "group normalisation": (
        [
            node("Conv", "x w0", "a"),
            node("GroupNormalization", "a gain shift", "n", num_groups=2),
            node("Relu", "n", "y"),
        ],
        (3, 6, 6),
        {"w0": normal(6, 3, 3, 3), "gain": normal(6), "shift": normal(6, seed=1)},
    ),
}


@pytest.mark.parametrize(("nodes", "shape", "weights"), BLOCKS.values(), ids=BLOCKS)
def test_blocks_of_known_networks(nodes, shape, weights):
    """A neuron for each product, whose error is that of the levels."""
    proto = model(nodes, {"x": ["N", *shape]}, weights, opset=21)
    check_model(proto)
    x = normal(100, *shape, seed=7)
    (wanted,) = session(proto).run(None, {"x": x})
    for steps, error in ((8, 0.03), (12, 0.003)):
        network = onnx2genn.convert(proto, x, steps=steps, threshold="max")
        got = network.predict(x, backend="onnxruntime")
        assert np.sqrt(np.mean((got - wanted) ** 2)) < error * wanted.std()
    (product,) = (item for item in network.populations if item.ports == 2)
    assert product.shape == product.segment.shape[1:]
