"""Handlers of the ONNX operators; importing this package fills the registry."""

from onnx2genn.graph.operators import (
    activations,
    elementwise,
    heads,
    linear,
    movement,
    pooling,
)

__all__ = ["activations", "elementwise", "heads", "linear", "movement", "pooling"]
