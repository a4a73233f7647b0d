"""Handlers of the ONNX operators; importing this package fills the registry."""

from onnx2genn.frontend.operators import (
    activations,
    attention,
    classical,
    einsum,
    elementwise,
    heads,
    linear,
    movement,
    normalisation,
    pooling,
    refused,
    resampling,
)
from onnx2genn.ir.registry import operator

__all__ = [
    "activations",
    "attention",
    "classical",
    "einsum",
    "elementwise",
    "heads",
    "linear",
    "movement",
    "normalisation",
    "operator",
    "pooling",
    "refused",
    "resampling",
]
