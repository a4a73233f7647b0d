"""Scalar functions: elementwise operators that are together one function of one tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.registry import entry_of

DOMAIN = "onnx2genn"
FUSED = "Function"
IDENTITY = "Identity"
PORT = "Gather"
MATRICES = "MatrixProduct"
# Operators of functions that give a number for all numbers.
# fmt: off
_DEFINED = frozenset({
    "Abs", "Add", "Asinh", "Atan", "Ceil", "Clip", "Cos", "Elu", "Erf", "Floor", "Gelu",
    "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Max", "Min", "Mish", "Mul", "Neg",
    "PRelu", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sub",
    "Sum", "Tanh",
})
# fmt: on


def root_of(graph: Graph, node: Node) -> str | None:
    """Find the one tensor that a node is an elementwise function of.

    Args:
        graph: Graph with shapes and constants, in its own or in canonical operators.
        node: Node of several operands.

    Returns:
        The nearest such tensor; None if there is none.
    """
    found = way_to_root(graph, node)
    return None if found is None else found[0]


def way_to_root(graph: Graph, node: Node) -> tuple[str, list[Node]] | None:
    """Walk back until all ways meet in one tensor; return it and the nodes on the ways."""
    position = {item.output: index for index, item in enumerate(graph.nodes)}
    body = [node]
    front = set(operands(graph, node))
    while True:
        last = max(front, key=lambda name: position.get(name, -1), default="")
        producer = graph.nodes[position[last]] if last in position else None
        condition = producer is not None and entry_of(producer).kind == "condition"
        if len(front) < 2 and not condition:
            break
        if producer is None or not is_scalar(graph, producer):
            return None
        body.append(producer)
        front = (front - {last}) | set(operands(graph, producer))
    root = next(iter(front), None)
    if root is None or graph.shapes.get(root) != graph.shapes.get(node.output):
        return None
    return root, body[::-1]


def may_be_undefined(node: Node) -> bool:
    """Whether a function may give no number for some number, as the root of -1."""
    return any(item.op not in {PORT, *_DEFINED} for item in node.body or (node,))


def operands(graph: Graph, node: Node) -> list[str]:
    """List the inputs of a node that are no constants."""
    return [name for name in node.inputs if name and name not in graph.constants]


def is_scalar(graph: Graph, node: Node) -> bool:
    """Whether each output element is a function of one input element, the same for all."""
    return entry_of(node).elementwise and all(
        graph.constants[name].size == 1 for name in node.inputs if name in graph.constants
    )


def is_function(node: Node) -> bool:
    """Whether a node becomes neurons that send a function of what they collected."""
    return bool(node.body) or entry_of(node).kind == "function"


def identity(source: str, output: str, name: str) -> Node:
    """Write neurons that send what they collected, whatever its sign."""
    copy = Node(op="Identity", inputs=(source,), outputs=(output,))
    return Node(
        op=IDENTITY, domain=DOMAIN, inputs=(source,), outputs=(output,), name=name, body=(copy,)
    )


def of_ports(sums: str, ports: Sequence[str], body: Sequence[Node], *, name: str) -> Node:
    """Write neurons that collect several sums apart and send a function of all.

    Args:
        sums: The sums, [N, ports, *shape]; without ports a single one, [N, *shape].
        ports: What the body calls each of them, [N, *shape]; by this name and ``/index`` a
            constant is its number.
        body: The function, [N, *shape].
        name: Name of the node.
    """
    taken = [
        Node(op=PORT, inputs=(sums, f"{port}/index"), outputs=(port,), attributes={"axis": 1})
        for port in ports
    ]
    whole = (*taken, *body)
    written = {sums, *(item.output for item in whole)}
    constants = dict.fromkeys(x for item in whole for x in item.inputs if x not in written)
    return Node(
        op=FUSED,
        domain=DOMAIN,
        inputs=(sums, *filter(None, constants)),
        outputs=body[-1].outputs,
        name=name,
        body=whole,
    )


def of_matrices(values: str, factors: Sequence[str], output: str, *, name: str) -> Node:
    """Write neurons each of which sends an element of the product of two matrices.

    Args:
        values: The elements of both factors one after the other, [N, of the first + of the second].
        factors: Names of the factors. The constants of these names and ``/start``, ``/end`` and
            ``/axis`` say where a factor lies in the values, those with ``/shape`` what its shape
            is, 0 for the batch.
        output: Product of the factors as MatMul has it.
        name: Name of the node.
    """
    body, constants = [], []
    for factor in factors:
        place = [f"{factor}/{part}" for part in ("start", "end", "axis")]
        flat, shape = f"{factor}/flat", f"{factor}/shape"
        body += [
            Node(op="Slice", inputs=(values, *place), outputs=(flat,)),
            Node(op="Reshape", inputs=(flat, shape), outputs=(factor,)),
        ]
        constants += [*place, shape]
    body.append(Node(op="MatMul", inputs=tuple(factors), outputs=(output,)))
    return Node(
        op=MATRICES,
        domain=DOMAIN,
        inputs=(values, *constants),
        outputs=(output,),
        name=name,
        body=tuple(replace(item, name=item.output) for item in body),
    )
