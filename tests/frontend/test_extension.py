"""Handlers of a user's own."""

import numpy as np
import pytest
from helpers.onnx_models import check_model, model, node, normal, operators
from onnx import helper

import onnx2genn
from onnx2genn.frontend.pipeline import check, read
from onnx2genn.frontend.rewrite import Refusal
from onnx2genn.ir.registry import REGISTRY


@pytest.fixture(autouse=True)
def registry():
    """Leave the registry as it was."""
    saved = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(saved)


def gate(**attributes):
    call = helper.make_node(
        "Gate", ["a"], ["b"], domain="com.example", name="the gate", **attributes
    )
    nodes = [node("MatMul", "x w", "a"), call, node("MatMul", "b v", "y")]
    weights = {"w": normal(3, 4), "v": normal(4, 2)}
    return model(nodes, {"x": ["N", 3]}, weights, domains={"com.example": 1})


def test_an_operator_that_onnxruntime_does_not_know():
    @onnx2genn.operator("Gate", domain="com.example", kind="population")
    def handler(rewrite, x, *, slope=1.0):
        scaled = rewrite.emit("Mul", x, np.float32(slope))
        return rewrite.emit("Mul", x, rewrite.emit("Sigmoid", scaled))

    found = read(gate(slope=2.0))
    assert [item.kind for item in found.parts.populations] == ["Function"]
    x = normal(64, 3)
    network = onnx2genn.convert(gate(slope=2.0), x, steps=12)
    a = x @ normal(3, 4)
    wanted = (a / (1 + np.exp(-2 * a))) @ normal(4, 2)
    logits = network.predict(x, backend="onnxruntime")
    np.testing.assert_allclose(logits, wanted, atol=0.01 * np.abs(wanted).max())


def test_a_handler_may_return_what_was_there():
    @onnx2genn.operator("Gate", domain="com.example")
    def handler(rewrite, x):
        return x

    assert operators(read(gate())) == ["MatMul", "MatMul"]


def test_a_handler_may_refuse():
    @onnx2genn.operator("Gate", domain="com.example")
    def handler(rewrite, x):
        raise Refusal("it gates.", "Do without.")

    (problem,) = check(gate())
    assert (problem.node, problem.reason, problem.advice) == (
        "the gate",
        "it gates.",
        "Do without.",
    )


def test_attributes_that_a_handler_does_not_know_are_refused():
    @onnx2genn.operator("Gate", domain="com.example")
    def handler(rewrite, x):
        return x

    (problem,) = check(gate(slope=2.0))
    assert "slope" in problem.reason


def test_a_standard_operator_may_get_another_handler():
    @onnx2genn.operator("CumSum")
    def handler(rewrite, x, axis, *, exclusive=0, reverse=0):
        size = rewrite.shape(x)[-1]
        return rewrite.emit("MatMul", x, np.triu(np.ones((size, size), np.float32)))

    nodes = [node("CumSum", "x axis", "y")]
    found = check_model(model(nodes, {"x": ["N", 5]}, {"axis": np.array(1)}))
    assert operators(found) == ["MatMul"]


def test_without_a_handler_it_is_named():
    (problem,) = check(gate())
    assert problem.operator == "com.example.Gate"
