"""Choices by what is computed."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers.onnx_models import check_model, model, node, normal

import onnx2genn
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.frontend.pipeline import check
from onnx2genn.ir.run import session

CHOICES = {
    "by two conditions": [
        node("Greater", "h zero", "above"),
        node("Less", "h one", "below"),
        node("And", "above below", "c"),
        node("Where", "c h small", "y"),
        node("Mul", "h tenth", "small"),
    ],
    "by another tensor": [node("Greater", "h zero", "c"), node("Where", "c g h", "y")],
    "by two tensors": [node("LessOrEqual", "h g", "c"), node("Where", "c g h", "y")],
    "by several numbers": [node("Greater", "h row", "c"), node("Where", "c g one", "y")],
    "as a number": [
        node("Greater", "h one", "above"),
        node("Less", "h zero", "below"),
        node("Or", "above below", "either"),
        node("Not", "either", "c"),
        node("Cast", "c", "n", to=onnx.TensorProto.FLOAT),
        node("Mul", "n g", "y"),
    ],
    "of a safe quotient": [
        node("Relu", "h", "d"),
        node("Div", "g d", "q"),
        node("Equal", "d zero", "c"),
        node("Where", "c zero q", "t"),
        node("Tanh", "t", "y"),
    ],
    "of a safe quotient, the other way round": [
        node("Relu", "h", "d"),
        node("Div", "g d", "q"),
        node("Greater", "d tenth", "c"),
        node("Where", "c q zero", "y"),
    ],
}
WEIGHTS = {
    "w": normal(8, 8, scale=0.5),
    "u": normal(8, 8, seed=1, scale=0.5),
    "row": normal(8),
    "zero": np.zeros((), np.float32),
    "one": np.ones((), np.float32),
    "tenth": np.full((), 0.1, np.float32),
}


def network(choice: str) -> onnx.ModelProto:
    nodes = sorted(CHOICES[choice], key=lambda item: item.op_type != "Mul" or "n" in item.input)
    nodes = [node("MatMul", "x w", "h"), node("MatMul", "x u", "g"), *nodes]
    return model(nodes, {"x": ["N", 8]}, WEIGHTS)


@pytest.mark.parametrize("choice", CHOICES)
def test_choices(choice: str) -> None:
    check_model(network(choice))
    x = normal(256, 8)
    (wanted,) = session(network(choice)).run(["y"], {"x": x})
    snn = onnx2genn.convert(network(choice), x, steps=12)
    got = snn.predict(x, backend="onnxruntime")
    np.testing.assert_allclose(got, Forecast(snn).logits(x), atol=1e-4)
    assert np.sqrt(((got - wanted) ** 2).mean()) < 0.01 * wanted.std()


def test_conditions_of_different_tensors_together_are_refused() -> None:
    nodes = [
        node("MatMul", "x w", "h"),
        node("Greater", "h zero", "a"),
        node("Greater", "x zero", "b"),
        node("And", "a b", "c"),
        node("Where", "c x h", "y"),
    ]
    weights = {"w": normal(3, 3), "zero": np.zeros((), np.float32)}
    problems = check(model(nodes, {"x": ["N", 3]}, weights))
    assert "And" in [item.operator for item in problems]


def test_infinite_choices_are_refused() -> None:
    nodes = [
        node("MatMul", "x w", "h"),
        node("Greater", "h zero", "c"),
        node("Where", "c x m", "y"),
    ]
    weights = {"w": normal(3, 3), "zero": np.zeros((), np.float32)}
    weights["m"] = np.full((), -np.inf, np.float32)
    (problem,) = check(model(nodes, {"x": ["N", 3]}, weights))
    assert "infinite" in problem.reason
