"""The comparison with the file: for every kind of rewrite a wrong one, which it has to catch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from helpers.models import mlp
from helpers.onnx_models import ints, model, node, normal, one_node

import onnx2genn
from onnx2genn import UnsupportedModelError
from onnx2genn.frontend import pipeline
from onnx2genn.frontend.pipeline import PASSES, Pass, check, read
from onnx2genn.frontend.verify import difference
from onnx2genn.ir.registry import REGISTRY

IMAGE = (2, 6, 6)


@pytest.fixture(autouse=True)
def registry():
    """Leave the registry as it was."""
    saved = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(saved)


def emits(op, *operands, **attributes):
    """A handler that writes one operator, whatever it is asked for."""
    return lambda rewrite, x, *rest, **given: rewrite.emit(op, x, *operands, **attributes)


def same(rewrite, x, *rest, **given):
    """A handler that writes nothing."""
    return x


def conv(rewrite, x, w, *rest, **given):
    """A convolution with its kernel turned around, as some frameworks have it."""
    weight = np.ascontiguousarray(rewrite.constant(w, "kernel")[..., ::-1, ::-1])
    ones, zeros = [1, 1], [0, 0, 0, 0]
    return rewrite.emit(
        "Conv", x, weight, kernel_shape=[3, 3], strides=ones, dilations=ones, group=1, pads=zeros
    )


POOL = {"kernel_shape": [2, 2], "strides": [2, 2], "dilations": [1, 1], "ceil_mode": 0}
CONCAT = model(
    [node("Relu", "x", "a"), node("Neg", "x", "b"), node("Concat", "a b", "y", axis=1)],
    {"x": ["N", 3]},
)
WRONG = {
    "a sign is lost": (one_node("Abs", [(4,)]), same),
    "an activation is lost": (one_node("Relu", [(4,)]), same),
    "an activation comes in": (one_node("Identity", [(4,)]), emits("Relu")),
    "another slope": (one_node("LeakyRelu", [(4,)], alpha=0.1), emits("LeakyRelu", alpha=0.11)),
    "another bound": (
        one_node("Clip", [(4,), np.array(0, "f4"), np.array(1, "f4")]),
        emits("Clip", np.float32(0), np.float32(1.01)),
    ),
    "a lower bound is lost": (
        one_node("Clip", [(4,), np.array(-0.5, "f4")]),
        same,
    ),
    "another function": (one_node("Sigmoid", [(4,)]), emits("HardSigmoid", alpha=0.25, beta=0.5)),
    "a kernel turned around": (one_node("Conv", [IMAGE, normal(3, 2, 3, 3)]), conv),
    "a matrix transposed": (
        one_node("MatMul", [(4,), normal(4, 4)]),
        lambda rewrite, x, w: rewrite.emit("MatMul", x, rewrite.constant(w, "matrix").T.copy()),
    ),
    "a bias is lost": (
        one_node("Gemm", [(4,), normal(4, 3), normal(3)]),
        lambda rewrite, x, w, c, **given: rewrite.emit("MatMul", x, rewrite.constant(w, "matrix")),
    ),
    "a bias of one small channel": (
        one_node("Add", [(3,), np.array([[0, 0, 1e-3]], np.float32)]),
        same,
    ),
    "subtracted the other way": (
        one_node("Sub", [(4,), normal(1, 4)]),
        lambda rewrite, a, b: rewrite.emit(
            "Add", rewrite.emit("Mul", a, np.float32(-1)), rewrite.constant(b, "operand")
        ),
    ),
    "windows moved by one": (
        one_node("MaxPool", [IMAGE], kernel_shape=[2, 2], strides=[2, 2], pads=[1, 1, 1, 1]),
        emits("MaxPool", **POOL, pads=[0, 0, 2, 2]),
    ),
    "borders count": (
        one_node("AveragePool", [IMAGE], kernel_shape=[2, 2], strides=[2, 2], pads=[1, 1, 1, 1]),
        emits("AveragePool", **POOL, pads=[1, 1, 1, 1], count_include_pad=1),
    ),
    "a maximum instead of a mean": (
        one_node("GlobalAveragePool", [IMAGE]),
        emits("ReduceMax", ints(2, 3), keepdims=1),
    ),
    "axes exchanged": (
        one_node("Transpose", [(4, 4)], perm=[0, 2, 1]),
        same,
    ),
    "rows in another order": (
        one_node("Gather", [(4,), ints(0, 2, 1)], axis=1),
        emits("Gather", ints(0, 1, 2), axis=1),
    ),
    "cut one further": (
        one_node("Slice", [(5,), ints(1), ints(4), ints(1)]),
        emits("Slice", ints(2), ints(5), ints(1), ints(1)),
    ),
    "joined the other way round": (
        CONCAT,
        lambda rewrite, *inputs, axis: rewrite.emit("Concat", *inputs[::-1], axis=1),
    ),
    "another exponent": (
        one_node("Pow", [(4,), np.array(2, "f4")]),
        emits("Pow", np.float32(4)),
    ),
    "not centred": (
        one_node("LayerNormalization", [(6,), np.ones(6, np.float32)]),
        lambda rewrite, x, *rest, **given: rewrite.emit("Mul", x, rewrite.emit("Abs", x)),
    ),
    "a softmax over the other axis": (
        one_node("Softmax", [(3, 4)], axis=2),
        emits("Softmax", axis=1),
    ),
    "another shape": (
        one_node("Flatten", [(2, 3)]),
        same,
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_handler(name):
    proto, wrong = WRONG[name]
    op = proto.graph.node[-1].op_type
    assert read(proto).error < 1e-4
    entry = REGISTRY["", op]
    REGISTRY["", op] = replace(entry, handler=wrong)
    with pytest.raises(UnsupportedModelError, match=r"does not compute|cannot be converted|run"):
        read(proto)


def with_weights(change):
    """A pass that changes the largest constant of the graph."""

    def function(graph, context):
        floats = {name: array for name, array in graph.constants.items() if array.dtype.kind == "f"}
        largest = max(floats, key=lambda name: floats[name].size)
        return replace(graph, constants={**graph.constants, largest: change(floats[largest])})

    return function


def without_first(op):
    """A pass that loses the first node of an operator."""

    def function(graph, context):
        lost = next(item for item in graph.nodes if item.op == op)
        names = {lost.output: lost.inputs[0]}
        nodes = [
            replace(item, inputs=tuple(names.get(name, name) for name in item.inputs))
            for item in graph.nodes
            if item is not lost
        ]
        return replace(graph, nodes=nodes)

    return function


def one_weight(array):
    changed = array.copy()
    changed.reshape(-1)[0] += 0.05
    return changed


@pytest.mark.parametrize(
    "function",
    [
        with_weights(one_weight),
        with_weights(lambda array: array * np.float32(1.001)),
        with_weights(lambda array: np.zeros_like(array)),
        without_first("Relu"),
        without_first("Add"),
    ],
)
@pytest.mark.parametrize("after", ["expand", "open batch", "canonicalise", "piecewise", "fold"])
def test_a_wrong_pass(monkeypatch, function, after):
    """Wherever it is: even before the file's own operators have been left."""
    names = [item.name for item in PASSES]
    at = names.index(after) + 1
    if after == "expand":  # from here on the file is compared with
        at = names.index("open batch")
    wrong = (*PASSES[:at], Pass("wrong", function, "it is a test"), *PASSES[at:])
    monkeypatch.setattr(pipeline, "PASSES", wrong)
    proto = model(
        [
            node("MatMul", "x w", "a"),
            node("Add", "a b", "c"),
            node("Relu", "c", "d"),
            node("MatMul", "d v", "e"),
            node("Add", "e b", "y"),
        ],
        {"x": ["N", 5]},
        {"w": normal(5, 6), "b": normal(6), "v": normal(6, 6, seed=1)},
    )
    with pytest.raises(UnsupportedModelError, match="does not compute"):
        read(proto)


def test_calibration_samples_are_compared():
    """What random inputs do not reach: a rewrite that is right from -3 to 3 alone."""

    @onnx2genn.operator("Identity", kind="data movement")
    def handler(rewrite, x):
        return rewrite.emit("Clip", x, np.float32(-3), np.float32(3))

    proto = one_node("Identity", [(4,)])
    read(proto)
    with pytest.raises(UnsupportedModelError, match="does not compute"):
        onnx2genn.convert(proto, normal(20, 4, scale=10.0))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_named(value):
    proto = mlp()
    weight = onnx.numpy_helper.to_array(proto.graph.initializer[2]).copy()
    weight[0, 0] = value
    proto.graph.initializer[2].CopyFrom(
        onnx.numpy_helper.from_array(weight, proto.graph.initializer[2].name)
    )
    with pytest.raises(UnsupportedModelError) as raised:
        read(proto)
    (problem,) = raised.value.problems
    assert "NaN" in problem.reason or "infinite" in problem.reason
    assert problem.operator in ("Gemm", "MatMul")


def test_samples_outside_of_the_domain_do_not_count():
    """The logarithm of a negative input is no number, in the file and here."""
    nodes = [node("Log", "x", "a"), node("MatMul", "a w", "b"), node("Relu", "b", "y")]
    assert read(model(nodes, {"x": ["N", 4]}, {"w": normal(4, 3)})).error < 1e-4


@pytest.mark.parametrize("where", ["within", "ends", "all"])
def test_half_precision(where):
    """Errors are those of the lowest precision on the way, also where the ends are float32."""
    kind, half = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
    weights = {"w": normal(6, 8).astype(np.float16), "v": normal(8, 3).astype(np.float16)}
    core = [node("MatMul", "h w", "a"), node("Relu", "a", "r"), node("MatMul", "r v", "o")]
    if where == "all":
        nodes = [node("Identity", "x", "h"), *core, node("Identity", "o", "y")]
        proto = model(nodes, {"x": ["N", 6]}, weights, dtype=half)
    else:
        nodes = [node("Cast", "x", "h", to=half), *core, node("Cast", "o", "y", to=kind)]
        if where == "within":
            nodes = [node("Relu", "x0", "x"), *nodes]
        proto = model(nodes, {"x0" if where == "within" else "x": ["N", 6]}, weights)
    assert 1e-5 < read(proto).error < 3e-2


def test_difference():
    a = np.array([[1.0, 100.0], [2.0, 200.0]])
    b = a + np.array([[0.0, 0.0], [0.02, 0.02]])
    every = np.ones(2, bool)
    np.testing.assert_allclose(difference(a, b, every), [0.01, 0.0001], rtol=1e-6)
    np.testing.assert_array_equal(difference(a, b, np.array([True, False])), [0, 0])
    broken = np.array([[np.nan, np.inf], [1.0, 1.0]])
    np.testing.assert_array_equal(difference(broken, broken, every), [0, 0])
    for other in (np.zeros((2, 2)), -broken, np.full((2, 2), np.nan)):
        assert np.isinf(difference(broken, other, every)).any()
        assert np.isinf(difference(other, broken, every)).any()


def test_a_batch_that_is_fixed():
    proto = mlp()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    assert read(proto).error < 1e-4


@pytest.mark.parametrize("size", [(1, 1), (1, 2)])
def test_what_rounding_leaves_of_a_normalisation_is_no_difference(size):
    """Over one element it is 0, and onnxruntime divides its rounding error by sqrt(epsilon)."""
    nodes = [node("Conv", "x w", "h"), node("InstanceNormalization", "h scale bias", "y")]
    for seed in range(6):
        weights = {
            "w": normal(4, 3, 1, 1, seed=seed),
            "scale": np.ones(4, np.float32),
            "bias": normal(4, seed=seed),
        }
        assert check(model(nodes, {"x": ["N", 3, *size]}, weights)) == []


def test_the_error_of_onnxruntime_excuses_no_other_one():
    """The double precision is that of the file's own operators."""
    proto = model([node("Tanh", "x", "y")], {"x": ["N", 3]})
    found = read(proto)
    wrong = found.graph.rewritten([*(replace(item, op="Sin") for item in found.graph.nodes)])
    with pytest.raises(UnsupportedModelError, match="differs"):
        found.verify(wrong, {"x": normal(4, 3)})


@pytest.mark.parametrize(("factor", "is_hidden"), [(1.0, False), (1e4, True)])
def test_what_noise_hides_is_no_difference(factor, is_hidden):
    """Where the last digits of the inputs move one channel a lot, another is not told by chance."""
    nodes = [node("Mul", "x s", "h"), node("Sin", "h", "y")]
    proto = model(nodes, {"x": ["N", 3]}, {"s": np.array([1, factor, 1], np.float32)})
    found = read(proto)
    constants = {
        name: array * np.float32([1.0005, 1, 1]) if array.size == 3 else array
        for name, array in found.graph.constants.items()
    }
    changed = replace(found.graph, constants=constants)
    samples = {"x": normal(4, 3)}
    if is_hidden:
        assert 1e-4 < found.verify(changed, samples) < 1e-2
    else:
        with pytest.raises(UnsupportedModelError, match="differs"):
            found.verify(changed, samples)
