"""Activations, which become populations of neurons."""

from __future__ import annotations

from onnx2genn.graph.rewrite import Rewrite, operator


@operator("Relu", kind="population")
def relu(rewrite: Rewrite, x: str) -> str:
    """max(x, 0)."""
    return rewrite.emit("Relu", x)
