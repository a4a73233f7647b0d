"""Operator handlers: how each ONNX operator becomes operators of the canonical graph.

A handler is a plain function whose signature is the operator's own: first a :class:`Rewrite`, then
the names of its inputs (None where an optional one is left out), then its attributes with the
defaults of the specification. It returns the name of the tensor that takes the place of the
node's output (several names for several outputs), or raises :class:`Refusal`.
"""

from __future__ import annotations

import inspect
from collections.abc import Set
from dataclasses import replace
from typing import Any

import numpy as np

from onnx2genn.errors import Problem
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.functions import root_of
from onnx2genn.ir.graph import Graph, Node, Shape
from onnx2genn.ir.registry import Operator, entry_of, find, kind_of


class Refusal(Exception):
    """Raised by a handler: why this node cannot be converted, and what to do instead."""

    def __init__(self, reason: str, advice: str) -> None:
        self.reason, self.advice = reason, advice
        super().__init__(f"{reason} {advice}")


ADD_NO_BATCH = (
    "If the input has no batch axis and the model adds one, start behind that: "
    "--input TENSOR --input-shape TENSOR=SIZE,..., inputs=TENSOR, input_shape={TENSOR: (...)}."
)


class BatchRefusal(Refusal):
    """Raised for a tensor whose first axis is not the batch."""

    def __init__(self, tensor: str) -> None:
        super().__init__(
            f"tensor {tensor!r} does not have the batch as its first axis.",
            "Samples are simulated one by one: keep the batch first, also in the inputs, and never "
            f"mix samples. {ADD_NO_BATCH}",
        )


UNKNOWN = (
    "no spiking form of this operator is known.",
    "Start after it if it is at the beginning (--input TENSOR, inputs=), replace it in the model, "
    "or register a handler of your own with onnx2genn.operator.",
)


WHOLE_NUMBERS = (
    "it computes with whole numbers.",
    "Quantise in QDQ format: QuantizeLinear and DequantizeLinear around float operators.",
)
# Whole numbers of these types are taken for exact; neurons know no overflow.
_WIDE = (np.int32, np.int64)


class Rewrite(Builder):
    """What a handler sees of the graph, and how it writes its nodes."""

    def __init__(self, graph: Graph, node: Node) -> None:
        super().__init__(node.output, graph.shapes.keys())
        self._graph = graph
        self.node = node
        self.opset = graph.opset

    def is_constant(self, name: str) -> bool:
        """Whether a tensor is a constant."""
        return name in self.constants or name in self._graph.constants

    def constant(self, name: str, role: str) -> np.ndarray:
        """Return the value of an input that has to be a constant.

        Raises:
            Refusal: It depends on the network's input.
        """
        if name in self.constants:
            return self.constants[name]
        if name not in self._graph.constants:
            raise Refusal(
                f"it takes its {role} from the network's input.",
                "Only constant weights make an affine map; export the model without it.",
            )
        return self._graph.constants[name]

    def producer(self, name: str) -> Node | None:
        """Return the node of the graph that computes a tensor; None for an input or a constant."""
        return self._graph.producers.get(name)

    def is_function(self) -> bool:
        """Whether the node is an elementwise function of a single tensor."""
        return root_of(self._graph, self.node) is not None

    def is_condition(self, name: str) -> bool:
        """Whether a tensor is what a comparison gives, or several together."""
        node = self.producer(name)
        return node is not None and entry_of(node).kind == "condition"

    def share_root(self, condition: str, name: str) -> bool:
        """Whether a condition and a tensor are functions of one and the same tensor."""
        graph, found = self._graph, []
        for each in (condition, name):
            node = graph.producers.get(each)
            root = None if node is None else root_of(graph, node)
            found.append({each, root} - {None, condition})
        return bool(found[0] & found[1])

    def becomes_neurons(self, node: Node) -> bool:
        """Whether a canonical node is a population, or a product that becomes some."""
        product = node.op in ("Mul", "MatMul") and not any(map(self.is_constant, node.inputs))
        return product or kind_of(node) == "population"

    def type(self, name: str) -> np.dtype:
        """Return the element type of a tensor of the model; float32 if it is another's."""
        if name in self._graph.constants:
            return self._graph.constants[name].dtype
        return self._graph.types.get(name, np.dtype(np.float32))

    def is_whole(self, name: str) -> bool:
        """Whether a tensor holds whole numbers."""
        return self.type(name).kind in "iu"

    def shape(self, name: str) -> Shape:
        """Return the shape of an input of the node, or of its output, without the batch axis.

        Raises:
            BatchRefusal: The batch is not its first axis.
        """
        if name not in self._graph.shapes:
            raise BatchRefusal(name)
        return self._graph.shapes[name]

    @property
    def output_shape(self) -> Shape:
        """Shape of the node's first output, without the batch axis."""
        return self.shape(self.node.output)


def problem(graph: Graph, node: Node, reason: str, advice: str) -> Problem:
    """Describe why a node cannot be converted."""
    shapes = tuple(graph.shapes[name] for name in node.inputs if name in graph.shapes)
    return Problem(
        node=node.name, operator=node.operator, shapes=shapes, reason=reason, advice=advice
    )


def rewritten(
    graph: Graph, node: Node, read: Set[str]
) -> tuple[list[Node], dict[str, np.ndarray], dict[str, str]]:
    """Run the handler of a node.

    Args:
        graph: The graph that it is of.
        node: The node.
        read: Tensors that other nodes read.

    Returns:
        Its nodes, its constants and other names for those outputs that are tensors which existed
        before.

    Raises:
        Refusal: It cannot be converted.
    """
    entry = find(node)
    if entry is None:
        raise Refusal(*UNKNOWN)
    if entry.kind == "quantised":
        raise Refusal(*WHOLE_NUMBERS)
    kind = graph.types.get(node.output)
    if entry.kind == "affine" and kind is not None and kind.kind in "iu" and kind not in _WIDE:
        raise Refusal(
            f"it computes in {kind}, which wraps around where a result leaves its range.",
            "Cast to float32 before it.",
        )
    rewrite = Rewrite(graph, node)
    result = entry.handler(
        rewrite, *(name or None for name in node.inputs), **_attributes(entry, node)
    )
    results = [result] if isinstance(result, str) else list(result)
    extra = read & set(node.outputs[len(results) :])
    if extra:
        raise Refusal(
            f"its further output {min(extra)!r} is used.",
            "Only the first output has a spiking form; export the model without the others.",
        )
    nodes, renamed = finish(rewrite, *results)
    return nodes, rewrite.constants, renamed


def finish(rewrite: Rewrite, *results: str) -> tuple[list[Node], dict[str, str]]:
    """Give what was written the names of the node and of its outputs.

    Args:
        rewrite: A rewrite whose nodes are written.
        results: Tensors that take the place of the node's outputs.

    Returns:
        The nodes, and other names for those outputs that are tensors which existed before.
    """
    if rewrite.nodes:
        becoming = [item for item in rewrite.nodes if rewrite.becomes_neurons(item)]
        main = (becoming or rewrite.nodes[-1:])[0]
        rewrite.nodes[rewrite.nodes.index(main)] = replace(main, name=rewrite.node.name)
    written = {name for item in rewrite.nodes for name in item.outputs}
    renamed: dict[str, str] = {}
    for old, new in zip(rewrite.node.outputs, results, strict=False):
        if new in written:
            rewrite.rename({new: old})
        elif old:
            renamed[old] = new
    return rewrite.nodes, renamed


def _attributes(entry: Operator, node: Node) -> dict[str, Any]:
    """Return the attributes that the handler takes; refuse one that it does not know."""
    parameters = inspect.signature(entry.handler).parameters
    kinds = {item.kind for item in parameters.values()}
    known = {
        name for name, item in parameters.items() if item.kind is inspect.Parameter.KEYWORD_ONLY
    }
    unknown = set(node.attributes) - known
    if unknown and inspect.Parameter.VAR_KEYWORD not in kinds:
        raise Refusal(
            f"its attribute {', '.join(sorted(unknown))} is not known here.",
            "Export the model with a lower opset.",
        )
    return dict(node.attributes)
