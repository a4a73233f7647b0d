"""Fold products and sums with constants into the weights beside them."""

from __future__ import annotations

from onnx2genn.frontend.context import Context
from onnx2genn.frontend.shapes import with_shapes
from onnx2genn.ir.fold import fold_graph
from onnx2genn.ir.graph import Graph


def fold_constants(graph: Graph, context: Context) -> Graph:
    """Fold a whole graph.

    Args:
        graph: Canonical graph.
        context: Not needed.
    """
    return fold_graph(with_shapes(graph))
