"""Handlers of the ONNX operators; importing this package fills the registry."""

from onnx2genn.frontend.operators import (
    attention,
    classical,
    curves,
    einsum,
    elementwise,
    gathering,
    heads,
    linear,
    movement,
    normalisation,
    piecewise,
    pooling,
    quantised,
    recurrent,
    refused,
    resampling,
)
from onnx2genn.ir.registry import operator

__all__ = [
    "attention",
    "classical",
    "curves",
    "einsum",
    "elementwise",
    "gathering",
    "heads",
    "linear",
    "movement",
    "normalisation",
    "operator",
    "piecewise",
    "pooling",
    "quantised",
    "recurrent",
    "refused",
    "resampling",
]
