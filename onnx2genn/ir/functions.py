"""Scalar functions: elementwise operators that are together one function of one tensor.

Exporters write Silu as ``x * Sigmoid(x)`` and Gelu as ``x * 0.5 * (1 + Erf(x / sqrt(2)))``. A
product of two tensors takes two populations (see products.py), a function of one tensor takes one:
its neuron collects x and sends g(x). So every product whose operands lead back to one tensor is
fused into one node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from onnx2genn.ir.graph import Graph, Node

DOMAIN = "onnx2genn"
FUSED = "Function"
IDENTITY = "Identity"

CURVES = frozenset(
    {
        "Ceil",
        "Celu",
        "Cos",
        "Elu",
        "Erf",
        "Exp",
        "Floor",
        "Gelu",
        "HardSwish",
        "Log",
        "Mish",
        "Pow",
        "Reciprocal",
        "Round",
        "Selu",
        "Sigmoid",
        "Sign",
        "Sin",
        "Softplus",
        "Softsign",
        "Sqrt",
        "Tanh",
        "ThresholdedRelu",
    }
)
"""Operators of one tensor that become neurons which send a function of what they collected."""

_PIECEWISE = frozenset({"Abs", "Clip", "HardSigmoid", "LeakyRelu", "Relu"})
_ARITHMETIC = frozenset({"Add", "Cast", "CastLike", "Div", "Identity", "Mul", "Neg", "Sub"})
COMPARISONS = frozenset({"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"})
"""Operators that only have a meaning within a function, as the condition of a Where."""

_ELEMENTWISE = COMPARISONS | CURVES | _PIECEWISE | _ARITHMETIC | {"Max", "Min", "Swish", "Where"}


def root_of(graph: Graph, node: Node) -> str | None:
    """Find the one tensor that a node is an elementwise function of.

    Args:
        graph: Graph with shapes and constants, in its own or in canonical operators.
        node: Node of several operands.

    Returns:
        The nearest such tensor; None if there is none.
    """
    found = _body(graph, node)
    return None if found is None else found[0]


def _body(graph: Graph, node: Node) -> tuple[str, list[Node]] | None:
    """Walk back until all ways meet in one tensor; return it and the nodes on the ways."""
    position = {item.output: index for index, item in enumerate(graph.nodes)}
    body = [node]
    front = set(_operands(graph, node))
    while True:
        last = max(front, key=lambda name: position.get(name, -1), default="")
        producer = graph.nodes[position[last]] if last in position else None
        condition = producer is not None and producer.op in COMPARISONS
        if len(front) < 2 and not condition:
            break
        if producer is None or not _is_scalar(graph, producer):
            return None
        body.append(producer)
        front = (front - {last}) | set(_operands(graph, producer))
    root = next(iter(front), None)
    if root is None or graph.shapes.get(root) != graph.shapes.get(node.output):
        return None
    return root, body[::-1]


def _operands(graph: Graph, node: Node) -> list[str]:
    return [name for name in node.inputs if name and name not in graph.constants]


def _is_scalar(graph: Graph, node: Node) -> bool:
    """Whether each output element is a function of one input element, the same for all."""
    return node.op in _ELEMENTWISE and all(
        graph.constants[name].size == 1 for name in node.inputs if name in graph.constants
    )


def fuse_functions(graph: Graph) -> Graph:
    """Fuse products that are functions of one tensor, and functions of functions.

    Args:
        graph: Canonical graph with shapes.
    """
    for product in list(graph.nodes):
        if product.op == "Where" or (
            product.op in ("Mul", "Div") and len(_operands(graph, product)) > 1
        ):
            found = _body(graph, product)
            if found is not None:
                graph = _with_function(graph, product, *found)
    for curve in list(graph.nodes):
        if is_function(curve):
            graph = _absorb(graph, curve)
    return graph.only_live()


def is_function(node: Node) -> bool:
    """Whether a node becomes neurons that send a function of what they collected."""
    return node.op in CURVES or node.domain == DOMAIN


def _with_function(graph: Graph, node: Node, root: str, body: Sequence[Node]) -> Graph:
    """Replace a node by the function of a root that it is the last node of."""
    constants = [name for item in body for name in item.inputs if name in graph.constants]
    # Others may read what is within, too, so the function computes it under names of its own.
    scope = f"{node.output}/"
    inner = {name for item in body for name in item.outputs if not name.startswith(scope)}
    names = {name: scope + name for name in inner - {node.output}}
    parts = [part.renamed(names) for item in body for part in (item.body or (item,))]
    fused = Node(
        op=FUSED,
        domain=DOMAIN,
        inputs=(root, *dict.fromkeys(constants)),
        outputs=node.outputs,
        name=node.name,
        body=tuple(replace(part, name=part.output) for part in parts),
    )
    nodes = [fused if item.output == node.output else item for item in graph.nodes]
    return replace(graph, nodes=nodes).only_live()


def _absorb(graph: Graph, curve: Node) -> Graph:
    """Fuse a function with the function whose values, scaled or shifted, only it reads."""
    producers, consumers = graph.producers, graph.consumers
    body, name = [curve], curve.inputs[0]
    while name in producers and len(consumers[name]) == 1 and name != graph.output:
        node = producers[name]
        operands = _operands(graph, node)
        if len(operands) != 1 or not (is_function(node) or _is_scalar(graph, node)):
            return graph
        body.append(node)
        if is_function(node):
            return _with_function(graph, curve, node.inputs[0], body[::-1])
        if node.op not in _ARITHMETIC:
            return graph
        name = operands[0]
    return graph


def identity(source: str, output: str, name: str) -> Node:
    """Write neurons that send what they collected, whatever its sign."""
    copy = Node(op="Identity", inputs=(source,), outputs=(output,))
    return Node(
        op=IDENTITY, domain=DOMAIN, inputs=(source,), outputs=(output,), name=name, body=(copy,)
    )


def square(source: str, output: str, name: str) -> Node:
    """Write neurons that send the square of what they collected."""
    product = Node(op="Mul", inputs=(source, source), outputs=(output,), name=output)
    return Node(
        op=FUSED, domain=DOMAIN, inputs=(source,), outputs=(output,), name=name, body=(product,)
    )
