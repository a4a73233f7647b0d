"""Which functions give a number for all numbers."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2genn.ir import functions
from onnx2genn.ir.functions import may_be_undefined
from onnx2genn.ir.graph import Node, to_onnx
from onnx2genn.ir.run import Runner


def one(op: str) -> Node:
    return Node(op=op, inputs=("x",), outputs=(f"{op}/y",), name=op)


@pytest.mark.parametrize("op", ["Sqrt", "Log", "Reciprocal", "Acos", "Exp"])
def test_others_are_asked_for_numbers(op: str) -> None:
    assert may_be_undefined(one(op))
    assert may_be_undefined(Node(op="Function", inputs=("x",), outputs=("y",), body=(one(op),)))
    assert not may_be_undefined(one("Sigmoid"))


UNARY = sorted(functions._DEFINED - {"Add", "Max", "Min", "Mul", "PRelu", "Sub", "Sum"})


@pytest.mark.parametrize("op", UNARY)
def test_they_give_numbers_for_all_numbers(op: str) -> None:
    most = np.finfo(np.float32).max / 4
    x = np.array([[-most, -1e4, -90, -2, -1, -0.0, 0, 1e-30, 1, 2, 90, 1e4, most]], np.float32)
    model = to_onnx([one(op)], {}, {"x": x.shape[1:]}, {f"{op}/y": None}, opset=20)
    (found,) = Runner(model)({"x": x}).values()
    assert not np.isnan(found).any()
