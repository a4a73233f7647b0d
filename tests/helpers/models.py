"""Whole small networks with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import onnx

from helpers.onnx_models import model, node


def mlp(seed: int = 0, sizes: Sequence[int] = (6, 8, 5, 3)) -> onnx.ModelProto:
    """Make a multi-layer perceptron of Gemm, with biases, and Relu."""
    random = np.random.default_rng(seed)
    weights: dict[str, np.ndarray] = {}
    nodes = []
    name = "x"
    for index, (before, after) in enumerate(pairwise(sizes)):
        last = index == len(sizes) - 2
        weights[f"w{index}"] = random.normal(0, before**-0.5, (before, after)).astype(np.float32)
        weights[f"b{index}"] = random.normal(0, 0.1, after).astype(np.float32)
        output = "y" if last else f"z{index}"
        nodes.append(node("Gemm", f"{name} w{index} b{index}", output))
        if not last:
            name = f"a{index}"
            nodes.append(node("Relu", output, name))
    return model(nodes, {"x": ["N", sizes[0]]}, weights)
