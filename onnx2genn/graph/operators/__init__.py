"""Handlers of the ONNX operators; importing this package fills the registry."""

from onnx2genn.graph.operators import (
    activations,
    classical,
    einsum,
    elementwise,
    heads,
    linear,
    movement,
    pooling,
    refused,
    resampling,
)
from onnx2genn.graph.rewrite import operator

__all__ = [
    "activations",
    "classical",
    "einsum",
    "elementwise",
    "heads",
    "linear",
    "movement",
    "operator",
    "pooling",
    "refused",
    "resampling",
]
