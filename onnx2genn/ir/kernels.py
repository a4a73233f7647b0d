"""Weights of convolutions and matrices, scaled, and nodes written with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2genn.ir.editor import Editor
from onnx2genn.ir.graph import Node

CONVOLUTIONS = ("Conv", "ConvTranspose")
BATCH_AND_CHANNEL = 2


def along(factor: np.ndarray, rank: int, axis: int) -> np.ndarray | None:
    """Return a factor that varies along one axis only as a vector (or a single value)."""
    full = factor.reshape((1,) * (rank - factor.ndim) + factor.shape)
    if full.size == full.shape[axis] or full.size == 1:
        return full.reshape(-1)
    return None


def reweight(editor: Editor, node: Node, arrays: list[np.ndarray], output: str) -> bool:
    """Write a node with other weights under another output name."""
    names = [
        editor.store(array, f"{output}/{role}")
        for role, array in zip(("weight", "bias"), arrays, strict=False)
    ]
    editor.add(replace(node, inputs=(node.inputs[0], *names), outputs=(output,)))
    return True


def scaled_inputs(node: Node, weight: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Scale the source channels of a kernel."""
    if node.op == "Conv":  # [out, in / group, ...]
        return _scaled_within_groups(node, weight, vector)
    return weight * vector.reshape(-1, *[1] * (weight.ndim - 1))


def scaled_outputs(node: Node, weight: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Scale the target channels of a kernel."""
    if node.op == "ConvTranspose":  # [in, out / group, ...]
        return _scaled_within_groups(node, weight, vector)
    return weight * vector.reshape(-1, *[1] * (weight.ndim - 1))


def _scaled_within_groups(node: Node, weight: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Scale the second axis of a kernel, whose channels are counted within each group."""
    if vector.size == 1:
        return weight * vector[0]
    group, tail = node.attributes["group"], [1] * (weight.ndim - BATCH_AND_CHANNEL)
    per_group = vector.reshape(group, 1, weight.shape[1], *tail)
    return (weight.reshape(group, -1, *weight.shape[1:]) * per_group).reshape(weight.shape)
