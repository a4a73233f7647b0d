"""Activations in all spellings, and what they become."""

import numpy as np
import onnx
import pytest
from helpers.onnx_models import (
    OLD_ONNXRUNTIME,
    check_model,
    check_op,
    ints,
    model,
    node,
    normal,
    one_node,
    operators,
)

from onnx2genn.frontend.pipeline import check, read
from onnx2genn.ir.run import session


def scalar(value):
    return np.array(value, np.float32)


def kinds(found):
    return [item.kind for item in found.parts.populations]


RELU6 = {
    "clip attributes": (9, [node("Clip", "x", "y", min=0.0, max=6.0)]),
    "clip inputs": (11, [node("Clip", "x zero six", "y")]),
    "min of relu": (17, [node("Relu", "x", "r"), node("Min", "r six", "y")]),
    "max of min": (17, [node("Min", "six x", "r"), node("Max", "zero r", "y")]),
    "clip of relu": (17, [node("Relu", "x", "r"), node("Clip", "r _ six", "y")]),
    "relu of clip": (17, [node("Clip", "x _ six", "r"), node("Relu", "r", "y")]),
    "cast like": (
        17,
        [
            node("CastLike", "zero x", "low"),
            node("CastLike", "six x", "high"),
            node("Clip", "x low high", "y"),
        ],
    ),
}


@pytest.mark.parametrize("spelling", RELU6)
def test_relu6_is_one_bounded_population(spelling):
    opset, nodes = RELU6[spelling]
    weights = {"zero": scalar(0), "six": scalar(6)}
    proto = model(nodes, {"x": ["N", 3]}, weights, opset=opset)
    if spelling == "cast like":
        proto.opset_import[0].version = 17
    found = check_model(proto)
    assert operators(found) == ["Clip"]
    assert found.parts.populations[0].bound == 6.0


def test_other_bounds():
    hard_tanh = check_op("Clip", [(3,), scalar(-1), scalar(1)], opset=13)
    assert operators(hard_tanh) == ["Add", "Clip", "Add"]
    assert hard_tanh.parts.populations[0].bound == 2.0
    assert kinds(check_op("Clip", [(3,), scalar(-1)], opset=13)) == ["Relu"]
    assert kinds(check_op("Clip", [(3,), None, scalar(1)], opset=13)) == ["Relu"]
    assert kinds(check_op("Clip", [(3,)], opset=13)) == []
    widest = scalar(np.finfo(np.float32).max)
    assert kinds(check_op("Clip", [(3,), scalar(0), widest], opset=13)) == ["Relu"]


def test_of_bounds_that_cross_the_upper_one_counts():
    assert kinds(check_op("Clip", [(3,), scalar(2), scalar(1)], opset=13)) == []
    below = [node("Relu", "x", "r"), node("Min", "r minus", "y")]
    assert kinds(check_model(model(below, {"x": ["N", 3]}, {"minus": scalar(-1)}))) == []
    across = [node("Min", "x two", "r"), node("Max", "r five", "y")]
    proto = model(across, {"x": ["N", 3]}, {"two": scalar(2), "five": scalar(5)})
    assert kinds(check_model(proto)) == []


@pytest.mark.parametrize("bounds", [(-1e9, None), (None, 1e9), (-1e9, 1e9), (-5e3, 1), (-1, 5e3)])
def test_bounds_that_hardly_any_value_reaches(bounds):
    low, high = (None if bound is None else scalar(bound) for bound in bounds)
    check_op("Clip", [(3, 4), low, high], opset=13)
    proto = one_node("Clip", [(3, 4), low, high], opset=13)
    x = np.linspace(-2e9, 2e9, 48, dtype=np.float32).reshape(4, 3, 4)
    (wanted,), (got,) = (
        session(item).run(None, {"in0": x}) for item in (proto, read(proto).to_onnx())
    )
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=500)


def test_bounds_of_infinity():
    assert kinds(check_op("Clip", [(3,), scalar(-np.inf), scalar(1)], opset=13)) == ["Relu"]
    assert kinds(check_op("Clip", [(3,), scalar(-np.inf), scalar(np.inf)], opset=13)) == []
    for op, sign in (("Max", -1), ("Min", 1)):
        assert kinds(check_op(op, [(3,), sign * np.array([np.inf, 1, 1e9], "f4")])) == ["Relu"]
        assert kinds(check_op(op, [(3,), scalar(sign * np.inf)])) == []


@pytest.mark.parametrize("bound", [np.inf, np.nan])
def test_bounds_that_leave_no_number_are_refused(bound):
    for operands in ([(3,), scalar(bound)], [(3,), None, scalar(-bound)]):
        problems = check(one_node("Clip", operands, opset=13))
        assert len(problems) == 1
        assert "NaN" in problems[0].reason
    (problem,) = check(one_node("Max", [(3,), np.array([0, bound, 1], np.float32)]))
    assert "NaN" in problem.reason


def test_a_clamp_that_others_read_stays():
    nodes = [node("Relu", "x", "r"), node("Clip", "r _ six", "c"), node("Add", "r c", "y")]
    assert kinds(check_model(model(nodes, {"x": ["N", 3]}, {"six": scalar(6)}))) == ["Relu", "Relu"]


def test_hard_sigmoid():
    assert operators(check_op("HardSigmoid", [(3,)])) == ["Mul", "Add", "Clip"]
    check_op("HardSigmoid", [(3,)], alpha=1 / 6, beta=0.4)


@pytest.mark.parametrize("op", ["LeakyRelu", "Abs"])
def test_two_sided_activations_are_two_populations(op):
    found = check_op(op, [(3, 4)], **({"alpha": 0.2} if op == "LeakyRelu" else {}))
    assert kinds(found) == ["Relu", "Relu"]
    assert found.parts.depth == 1


@pytest.mark.parametrize("shape", [(1,), (3, 1, 1), (1, 3, 1, 1)], ids=str)
def test_p_relu(shape):
    assert kinds(check_op("PRelu", [(3, 4, 5), normal(*shape)])) == ["Relu", "Relu"]


@pytest.mark.parametrize("slope", [0.1, -0.5])
def test_leaky_relu_as_a_maximum(slope):
    nodes = [node("Mul", "x s", "a"), node("Max", "x a", "y")]
    found = check_model(model(nodes, {"x": ["N", 3]}, {"s": scalar(slope)}))
    assert kinds(found) == ["Relu", "Relu"]


@pytest.mark.parametrize("op", ["Max", "Min"])
def test_maximum_and_minimum(op):
    assert kinds(check_op(op, [(3, 4), (3, 4)])) == ["Relu"]
    assert kinds(check_op(op, [(3, 4), (3, 4), (3, 4)])) == ["Relu", "Relu"]
    assert kinds(check_op(op, [(3, 4), normal(3, 1)])) == ["Relu"]
    assert kinds(check_op(op, [scalar(0.3), (3, 4)])) == ["Relu"]
    assert kinds(check_op(op, [(3, 4)])) == []


CURVES = {
    "Asinh": (17, {}),
    "Atan": (17, {}),
    "Ceil": (17, {}),
    "Celu": (12, {"alpha": 0.7}),
    "Cos": (17, {}),
    "Cosh": (17, {}),
    "Elu": (17, {"alpha": 0.5}),
    "Erf": (17, {}),
    "Exp": (17, {}),
    "Floor": (17, {}),
    "Gelu": (20, {"approximate": "tanh"}),
    "HardSwish": (17, {}),
    "Mish": (18, {}),
    "Selu": (17, {}),
    "Shrink": (9, {"bias": 0.2, "lambd": 0.7}),
    "Sin": (17, {}),
    "Sinh": (17, {}),
    "Round": (17, {}),
    "Sign": (17, {}),
    "Softplus": (17, {}),
    "Softsign": (17, {}),
    "Tan": (17, {}),
    "Tanh": (17, {}),
    "ThresholdedRelu": (17, {"alpha": 0.5}),
}


@pytest.mark.parametrize("op", CURVES)
def test_curves(op):
    opset, attributes = CURVES[op]
    found = check_op(op, [(3, 4)], opset=opset, **attributes)
    (population,) = found.parts.populations
    assert population.is_function
    assert population.kind == op


def test_powers():
    assert kinds(check_op("Pow", [(3,), scalar(2)])) == ["Pow"]
    assert kinds(check_op("Pow", [(3,), np.array(3, np.int64)])) == ["Pow"]
    assert kinds(check_op("Pow", [(3,), scalar(1)])) == []


def test_several_exponents_are_a_population_each():
    exponents = np.array([[2], [1], [3]], np.float32)
    assert kinds(check_op("Pow", [(3, 4), exponents])) == ["Pow", "Pow"]
    assert kinds(check_op("Pow", [(3, 1), np.array([2, 3, 2], np.int64)])) == ["Pow", "Pow"]
    proto = model([node("Pow", "x p", "y")], {"x": [2, 3]}, {"p": np.array([[2.0], [3.0]], "f4")})
    (problem,) = check(proto)
    assert "batch axis" in problem.reason
    (problem,) = check(one_node("Pow", [(300,), 1 + normal(300)]))
    assert "300 values" in problem.reason


INVERSES = {"Acos": "bounded", "Acosh": "above", "Asin": "bounded", "Atanh": "bounded"}


@pytest.mark.parametrize("op", INVERSES)
def test_curves_of_a_range(op):
    nodes = [
        node("Sin", "x", "s"),
        node("Mul", "s most", "bounded"),
        node("Exp", "x", "e"),
        node("Add", "e one", "above"),
        node(op, INVERSES[op], "y"),
    ]
    bodies, _ = fused(*nodes, most=scalar(0.9), one=scalar(1))
    assert [body[-1] for body in bodies] == [op]


@pytest.mark.parametrize("divisor", [1.5, -2.0])
def test_remainders(divisor):
    assert kinds(check_op("Mod", [(3,), scalar(divisor)], fmod=1)) == ["Mod"]
    check_op("Mod", [(3,), np.array([divisor, 2.0, divisor], np.float32)], fmod=1)
    nodes = [node("Mod", "x m", "r"), node("Cast", "r", "y", to=onnx.TensorProto.FLOAT)]
    whole = model(nodes, {"x": ["N", 5]}, {"m": ints(int(divisor * 4))})
    whole.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    (population,) = check_model(whole).parts.populations
    assert [item.op for item in population.node.body] == ["Mod", "Add", "Mod"]


def fused(*nodes, **weights):
    found = check_model(model(nodes, {"x": ["N", 3, 4]}, weights))
    return [
        [inner.op for inner in item.node.body] or [item.kind] for item in found.parts.populations
    ], found


SPELLED_OUT = {
    "silu": [node("Sigmoid", "x", "s"), node("Mul", "x s", "y")],
    "silu of a quotient": [
        node("Neg", "x", "n"),
        node("Exp", "n", "e"),
        node("Add", "e one", "d"),
        node("Div", "x d", "y"),
    ],
    "gelu": [
        node("Div", "x root", "a"),
        node("Erf", "a", "e"),
        node("Add", "e one", "b"),
        node("Mul", "x b", "c"),
        node("Mul", "c half", "y"),
    ],
    "gelu by tanh": [
        node("Pow", "x three", "p"),
        node("Mul", "p k", "q"),
        node("Add", "x q", "a"),
        node("Mul", "a r", "b"),
        node("Tanh", "b", "t"),
        node("Add", "t one", "u"),
        node("Mul", "x half", "h"),
        node("Mul", "h u", "y"),
    ],
    "hard swish": [
        node("Add", "x three", "a"),
        node("Clip", "a zero six", "c"),
        node("Mul", "x c", "m"),
        node("Div", "m six", "y"),
    ],
    "hard swish by hard sigmoid": [
        node("HardSigmoid", "x", "h", alpha=1 / 6, beta=0.5),
        node("Mul", "x h", "y"),
    ],
    "mish": [node("Softplus", "x", "a"), node("Tanh", "a", "t"), node("Mul", "x t", "y")],
    "softplus": [node("Exp", "x", "e"), node("Add", "e one", "a"), node("Log", "a", "y")],
    "softsign": [node("Abs", "x", "a"), node("Add", "a one", "b"), node("Div", "x b", "y")],
    "square": [node("Mul", "x x", "y")],
    "softplus with a bound": [
        node("Greater", "x six", "c"),
        node("Softplus", "x", "s"),
        node("Where", "c x s", "y"),
    ],
    "shrink": [
        node("Abs", "x", "a"),
        node("Less", "a half", "c"),
        node("Where", "c zero x", "y"),
    ],
}
NUMBERS = {
    "one": scalar(1),
    "half": scalar(0.5),
    "three": scalar(3),
    "root": scalar(np.sqrt(2)),
    "six": scalar(6),
    "zero": scalar(0),
    "k": scalar(0.044715),
    "r": scalar(0.7978846),
}


@pytest.mark.parametrize("spelling", SPELLED_OUT)
def test_functions_spelled_out_are_one_population(spelling):
    bodies, found = fused(*SPELLED_OUT[spelling], **NUMBERS)
    assert len(bodies) == 1
    assert found.parts.depth == 1


def test_factors_behind_a_function_are_weights():
    _, found = fused(*SPELLED_OUT["gelu"], **NUMBERS)
    assert operators(found)[-1] == "Mul"
    assert found.parts.readout.nodes[-1].op == "Mul"


def test_a_gate_is_no_function_of_one_tensor():
    nodes = [
        node("MatMul", "x w", "a"),
        node("Sigmoid", "a", "s"),
        node("Mul", "x s", "y", name="gate"),
    ]
    found = check_model(model(nodes, {"x": ["N", 4]}, {"w": normal(4, 4)}))
    kinds = [item.kind for item in found.parts.populations]
    assert kinds == ["Function"]


def test_a_function_that_others_read_too():
    nodes = [node("Sigmoid", "x", "s"), node("Mul", "x s", "m"), node("Add", "m s", "y")]
    bodies, _ = fused(*nodes)
    assert bodies == [["Sigmoid"], ["Sigmoid", "Mul"]]


@pytest.mark.skipif(onnx.defs.onnx_opset_version() < 24, reason="this onnx has no Swish")
@pytest.mark.skipif(OLD_ONNXRUNTIME, reason="this onnxruntime has no Swish")
@pytest.mark.parametrize("alpha", [1.0, 1.5])
def test_swish(alpha):
    found = check_op("Swish", [(3, 4)], opset=24, alpha=alpha)
    (population,) = found.parts.populations
    assert [item.op for item in population.node.body][-2:] == ["Sigmoid", "Mul"]


def test_contributed_spellings():
    quick = one_node("QuickGelu", [(3,)], domain="com.microsoft", opset=1, alpha=1.5)
    assert len(check_model(quick).parts.populations) == 1
    assert kinds(check_model(one_node("Gelu", [(3,)], domain="com.microsoft", opset=1))) == ["Gelu"]


def test_reductions_of_a_function():
    nodes = [node("Tanh", "x", "t"), node("ReduceMean", "t axes", "y")]
    check_model(model(nodes, {"x": ["N", 3, 4]}, {"axes": ints(1)}, opset=18))


@pytest.mark.parametrize(("low", "high"), [(2.0, 1.0), (1.0, 1.0)])
def test_a_clip_to_one_value_is_a_constant(low, high):
    bounds = [np.float32(low), np.float32(high)]
    found = check_op("Clip", [(3,), *map(np.asarray, bounds)])
    assert not found.parts.populations
