"""ONNX files of trained networks: writing them, and testing them with onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort


def export_keras(model: Any, path: Path, opset: int = 17) -> None:
    """Write a Keras 3 model to an ONNX file with a free batch dimension.

    ``tf2onnx.convert.from_keras`` does not know Keras 3, ``from_function`` works.
    """
    import tensorflow as tf
    import tf2onnx

    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="input")]
    function = tf.function(lambda x: model(x, training=False))
    path.parent.mkdir(parents=True, exist_ok=True)
    tf2onnx.convert.from_function(
        function, input_signature=signature, opset=opset, output_path=str(path)
    )
    onnx.checker.check_model(str(path))


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what PyTorch writes for debugging: stack traces with the paths of this machine."""
    graph = model.graph
    values = (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    for part in (model, graph, *graph.node, *values):
        part.ClearField("metadata_props")
    return model


def onnx_accuracy(path: Path, x: np.ndarray, y: np.ndarray, batch_size: int = 500) -> float:
    """Measure with onnxruntime the share of images [N, H, W, C] that a network answers right."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    x = in_layout(path, x)
    correct = 0
    for start in range(0, len(x), batch_size):
        scores = np.asarray(session.run(None, {name: x[start : start + batch_size]})[0])
        correct += int((scores.argmax(axis=1) == y[start : start + batch_size]).sum())
    return correct / len(x)


def in_layout(path: Path, x: np.ndarray) -> np.ndarray:
    """Bring images [N, H, W, C] into the layout that a network takes: PyTorch's is [N, C, H, W]."""
    model = onnx.load(path, load_external_data=False)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    if dims[1].dim_value == x.shape[3] != dims[3].dim_value:
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    return x


def summary(path: Path, x: np.ndarray, y: np.ndarray) -> str:
    """Say in one line how large an ONNX file is and how well it does on test data."""
    accuracy = onnx_accuracy(path, x, y)
    size = path.stat().st_size / 1000
    return f"{path}: {size:.0f} kB, test accuracy {accuracy:.2%} ({len(x)} images, onnxruntime)"
