"""Functions of sums of few functions, as the logarithm of the power of a spectrum.

One neuron can compute such a function: it collects what is squared on ports of its own. What keeps
them apart is only how they are written: the sum along an axis that has real and imaginary part, and
data that moves between one function and the next. Both are written the other way round here::

    g(sum_k f(x[k]))  ->  g(f(x[0]) + f(x[1]))        g(move(f(x)))  ->  move(g(f(x)))
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2genn.frontend.context import Context
from onnx2genn.frontend.passes.functions import absorb
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.functions import is_function, is_scalar, operands
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.registry import entry_of

_MOST_TERMS = 4
_SUM = "ReduceSum"


def separate_sums(graph: Graph, context: Context) -> Graph:
    """Write what functions read as sums of functions, where it is few of them.

    Args:
        graph: Canonical graph with shapes, functions of one tensor fused.
        context: Not needed.
    """
    for name in [node.output for node in graph.nodes if _is_curve(graph, node)]:
        graph = _before_moves(graph, graph.producers[name])
    for name in [node.output for node in graph.nodes if node.op == _SUM]:
        if _is_small_sum(graph, name) and _leads_to_function(graph, name):
            graph = _apart(graph, graph.producers[name])
    return graph


def _is_curve(graph: Graph, node: Node) -> bool:
    """Whether a node is the same function of each element."""
    fixed = [graph.constants[name] for name in node.inputs if name in graph.constants]
    return is_function(node) and all(array.size == 1 for array in fixed)


def _alone(graph: Graph, name: str) -> bool:
    return len(graph.consumers.get(name, ())) == 1 and name not in graph.outputs


def _before_moves(graph: Graph, curve: Node) -> Graph:
    """Let a function read what is before the moves that it reads, if that is of functions."""
    chain: list[Node] = []
    name = curve.inputs[0]
    while _alone(graph, name) and (node := graph.producers.get(name)) is not None:
        if not entry_of(node).selects or len(operands(graph, node)) > 1:
            break
        chain.insert(0, node)
        name = node.inputs[0]
    if not chain or not _of_functions(graph, name):
        return graph
    first = f"{curve.output}/before_moves"
    shapes = {**graph.shapes, first: graph.shapes[name]}
    written = [_renamed(curve, {curve.inputs[0]: name}, first)]
    for item in chain:
        output = curve.output if item is chain[-1] else f"{item.output}/after"
        shapes[output] = graph.shapes[item.output]
        inputs = (written[-1].output, *item.inputs[1:])
        written.append(replace(item, inputs=inputs, outputs=(output,)))
    graph = _with(graph, curve, written, shapes)
    return absorb(graph, graph.producers[first])


def _of_functions(graph: Graph, name: str) -> bool:
    """Whether one reader alone reads a function, or a sum of few."""
    node = graph.producers.get(name)
    if node is None or not _alone(graph, name):
        return False
    if node.op == "Add":
        return all(_of_functions(graph, item) for item in operands(graph, node))
    return _is_curve(graph, node) or _is_small_sum(graph, name)


def _is_small_sum(graph: Graph, name: str) -> bool:
    node = graph.producers[name]
    if node.op != _SUM or not _alone(graph, name):
        return False
    source, axes = node.inputs[0], graph.constants[node.inputs[1]]
    term = graph.producers.get(source)
    if term is None or axes.size != 1 or not (_alone(graph, source) and _is_curve(graph, term)):
        return False
    return 1 < graph.shapes[source][int(axes[0]) - 1] <= _MOST_TERMS


def _leads_to_function(graph: Graph, name: str) -> bool:
    while _alone(graph, name):
        (node,) = graph.consumers[name]
        if is_function(node):
            return True
        if not is_scalar(graph, node):
            return False
        name = node.output
    return False


def _apart(graph: Graph, total: Node) -> Graph:
    """Write a sum along an axis as one of functions of its parts."""
    builder = Builder(total.output, graph.names)
    term = graph.producers[total.inputs[0]]
    axis = int(graph.constants[total.inputs[1]][0])
    root, rank = term.inputs[0], len(graph.shapes[term.output]) + 1
    size = graph.shapes[term.output][axis % rank - 1]
    shapes = dict(graph.shapes)
    result = ""
    for index in range(size):
        place = [index] if total.attributes.get("keepdims", 1) else index
        part = builder.emit("Gather", root, np.array(place, np.int64), axis=axis % rank)
        value = builder.add(_renamed(term, {root: part}, f"{part}/term"))
        last = index == size - 1
        given = {"output": total.output, "name": total.name} if last else {}
        result = builder.emit("Add", result, value, **given) if index else value
        shapes |= dict.fromkeys((part, value, result), graph.shapes[total.output])
    graph = graph.rewritten(graph.nodes, builder.constants)
    return _with(graph, total, builder.nodes, shapes)


def _renamed(node: Node, names: dict[str, str], output: str) -> Node:
    """Copy a function, with names of its own for what is within."""
    inner = {name: f"{output}/{name}" for item in node.body for name in item.outputs}
    named = node.renamed({**inner, **names, node.output: output})
    body = tuple(replace(item, name=item.output) for item in named.body)
    return replace(named, name=output, body=body)


def _with(
    graph: Graph, old: Node, written: list[Node], shapes: dict[str, tuple[int, ...]]
) -> Graph:
    """Put nodes in the place of one."""
    nodes = [part for node in graph.nodes for part in (written if node is old else [node])]
    return replace(graph, nodes=nodes, shapes=shapes).only_live()
