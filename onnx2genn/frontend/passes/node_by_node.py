"""Rewrite a graph node by node."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from onnx2genn.frontend.rewrite import Rewrite, finish
from onnx2genn.ir.graph import Graph, Node

Rule = Callable[[Rewrite, Node], "str | None"]


def rewrite_nodes(graph: Graph, rule: Rule) -> Graph:
    """Let a rule write other nodes in the place of some.

    Args:
        graph: Graph with the shapes that the rule asks for.
        rule: Takes a node, writes what takes its place, and returns the tensor that is its output
            then; None leaves the node as it is.

    Returns:
        The graph, without shapes of new tensors; the same graph if the rule left all nodes.
    """
    nodes: list[Node] = []
    constants: dict[str, np.ndarray] = {}
    changed = False
    for node in graph.nodes:
        rewrite = Rewrite(graph, node)
        result = rule(rewrite, node)
        if result is None:
            nodes.append(node)
            continue
        nodes += finish(rewrite, result)[0]
        constants |= rewrite.constants
        changed = True
    return graph.rewritten(nodes, constants) if changed else graph
