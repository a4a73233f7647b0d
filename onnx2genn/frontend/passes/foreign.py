"""Operators that onnxruntime cannot run, written by others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from onnx2genn.frontend.context import Context
from onnx2genn.frontend.rewrite import Refusal, problem, rewritten
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.registry import find

_RUNNABLE = ("", "ai.onnx.ml", "com.microsoft")


def expand(graph: Graph, context: Context) -> Graph:
    """Rewrite the nodes that onnxruntime cannot run, so that it can run the graph.

    Args:
        graph: Graph in its own operators.
        context: Gets the problems of those that their handlers refuse.

    Raises:
        UnsupportedModelError: onnxruntime refuses what is left.
    """
    nodes: list[Node] = []
    constants = dict(graph.constants)
    read = {name for node in graph.nodes for name in node.inputs} | {graph.output}
    for node in graph.nodes:
        if node.domain in _RUNNABLE or find(node) is None:
            nodes.append(_with_pads(node, constants))
            continue
        try:
            written, fixed, renamed = rewritten(graph, node, read)
        except Refusal as refusal:
            context.problems.append(problem(graph, node, refusal.reason, refusal.advice))
            continue
        nodes += written
        nodes += [
            Node(op="Identity", inputs=(new,), outputs=(old,), name=old)
            for old, new in renamed.items()
        ]
        constants |= fixed
    if nodes != graph.nodes:
        graph = replace(graph, nodes=nodes, constants=constants)
    if not context.problems:
        context.runner(graph)
    return graph


def _with_pads(node: Node, constants: Mapping[str, np.ndarray]) -> Node:
    """Write the pads of a dilated convolution out, which onnxruntime does not; with stride 1."""
    attributes = dict(node.attributes)
    dilations = attributes.get("dilations") or []
    if node.op != "Conv" or max(dilations, default=1) == 1 or node.inputs[1] not in constants:
        return node
    mode = attributes.pop("auto_pad", "NOTSET")
    if not mode.startswith("SAME") or max(attributes.get("strides") or [1]) > 1:
        return node
    kernel = constants[node.inputs[1]].shape[2:]
    totals = [(width - 1) * step for width, step in zip(kernel, dilations, strict=True)]
    less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
    attributes["pads"] = less + more if mode == "SAME_UPPER" else more + less
    return replace(node, attributes=attributes)
