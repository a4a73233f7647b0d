"""Fold products and sums with constants into the weights beside them.

Only a simplification: what cannot be folded stays as a node and is computed as such. Every rule
keeps the rule of names: a tensor that is still there has the value that it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from onnx2genn.ir.editor import Editor
from onnx2genn.ir.fold_factors import factor_into_consumer, factor_into_producer
from onnx2genn.ir.fold_sums import (
    border_into_conv,
    order_into_matmul,
    sum_into_branch,
    sum_into_consumer,
    sum_into_conv,
)
from onnx2genn.ir.graph import Graph, Node, Shape, live


def fold(
    nodes: Iterable[Node],
    constants: Mapping[str, np.ndarray],
    shapes: Mapping[str, Shape],
    kept: Iterable[str],
) -> tuple[list[Node], dict[str, np.ndarray], dict[str, Shape]]:
    """Fold constant factors, sums and borders into Conv and MatMul where that is exact.

    Args:
        nodes: Canonical nodes in topological order.
        constants: Their weights.
        shapes: Shapes of all tensors without the batch axis.
        kept: Tensors that must stay.

    Returns:
        The new nodes, constants and shapes.
    """
    kept = list(kept)
    editor = Editor(nodes, constants, shapes, kept)
    for rule in _RULES:
        editor.apply(rule)
    left, used = live(list(editor.edited.values()), editor.constants, kept)
    return left, used, editor.shapes


def fold_graph(graph: Graph) -> Graph:
    """Fold a whole graph."""
    nodes, constants, shapes = fold(graph.nodes, graph.constants, graph.shapes, graph.outputs)
    return replace(graph, nodes=nodes, constants=constants, shapes=shapes)


_RULES = (
    factor_into_producer,
    sum_into_consumer,
    sum_into_branch,
    sum_into_conv,
    border_into_conv,
    order_into_matmul,
    factor_into_consumer,
)
