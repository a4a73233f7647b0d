"""Let what follows, samples and backends, know a single input."""

from __future__ import annotations

from onnx2genn.frontend.context import Context
from onnx2genn.ir.graph import Graph
from onnx2genn.ir.inputs import join_inputs


def single_input(graph: Graph, context: Context) -> Graph:
    """Join several inputs to one.

    Args:
        graph: Canonical graph with shapes.
        context: Not needed.
    """
    return join_inputs(graph)
