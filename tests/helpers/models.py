"""Small models, written with onnx.helper."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Step = tuple[str, Sequence[str], Sequence[str], Mapping[str, Any]]


def model(
    steps: Sequence[Step],
    constants: Mapping[str, np.ndarray],
    input_shape: Sequence[int | str],
    *,
    output: str = "y",
    opset: int = 17,
    input_type: int = onnx.TensorProto.FLOAT,
) -> onnx.ModelProto:
    """Build a model from (operator, inputs, outputs, attributes); its input is ``x``.

    Args:
        steps: Nodes in topological order.
        constants: Initializers.
        input_shape: Shape of the input with its batch axis.
        output: Name of the output.
        opset: Version of the standard operators.
        input_type: ONNX element type of the input.
    """
    nodes = [
        helper.make_node(op, list(inputs), list(outputs), name=f"{op}_{index}", **attributes)
        for index, (op, inputs, outputs, attributes) in enumerate(steps)
    ]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", input_type, list(input_shape))],
        [helper.make_empty_tensor_value_info(output)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def mlp(seed: int = 0, sizes: Sequence[int] = (6, 8, 5, 3), bias: bool = True) -> onnx.ModelProto:
    """Build a multi-layer perceptron of Gemm and Relu with random weights."""
    random = np.random.default_rng(seed)
    constants: dict[str, np.ndarray] = {}
    steps: list[Step] = []
    name = "x"
    for index, (before, after) in enumerate(itertools.pairwise(sizes)):
        weight = random.normal(0, before**-0.5, (after, before))
        constants[f"w{index}"] = weight.astype(np.float32)
        inputs = [name, f"w{index}"]
        if bias:
            constants[f"b{index}"] = random.normal(0, 0.1, after).astype(np.float32)
            inputs.append(f"b{index}")
        last = index == len(sizes) - 2
        output = "y" if last else f"z{index}"
        steps.append(("Gemm", inputs, [output], {"transB": 1}))
        if not last:
            steps.append(("Relu", [output], [f"a{index}"], {}))
            name = f"a{index}"
    return model(steps, constants, ["N", sizes[0]])
