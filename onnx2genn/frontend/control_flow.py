"""If, Loop and Scan that no sample can change, and lists, as the operators that they run."""

from __future__ import annotations

import onnx

from onnx2genn.errors import Problem, UnsupportedModelError
from onnx2genn.frontend.branches import take_branches
from onnx2genn.frontend.file import InputShape
from onnx2genn.frontend.input_values import FIX_INPUT
from onnx2genn.frontend.loops import unroll_loops
from onnx2genn.frontend.passes.canonicalise import unknown
from onnx2genn.frontend.probe import independent
from onnx2genn.frontend.sequences import without_lists
from onnx2genn.frontend.subgraphs import differ, graphs_of
from onnx2genn.ir.graph import Graph, Node, live

_LOOPS = {
    "Loop": "how often it runs depends on data, where samples may differ.",
    "Scan": "its number of steps is not fixed, or is the number of samples.",
}


def settled(
    proto: onnx.ModelProto, output: str, input_shape: InputShape | None = None
) -> onnx.ModelProto:
    """Write branches that are taken, and the steps of loops, until none of them is known.

    Args:
        proto: The model, functions inlined; it stays as it is.
        output: Name of the output whose control flow is of interest.
        input_shape: Shape of one sample, where the model leaves it open; of several inputs by name.

    Raises:
        UnsupportedModelError: A loop has too many steps.
    """
    file = proto
    while any(map(graphs_of, proto.graph.node)):
        before = proto
        proto = unroll_loops(take_branches(proto, output, input_shape), input_shape)
        if proto is before:
            break
    proto = without_lists(proto, input_shape)
    if proto is not file and differ(file, proto, output, input_shape):
        raise UnsupportedModelError(
            "What was written in the place of control flow does not compute what the model "
            "computes. This is an error of onnx2genn: please report it with the model."
        )
    return proto


def refuse_control_flow(graph: Graph, inputs: int) -> None:
    """Refuse a graph with nodes that run graphs of their own.

    Args:
        graph: Graph in its own operators.
        inputs: How many inputs the model has.

    Raises:
        UnsupportedModelError: It has some; all other problems that are known are named as well.
    """
    controls = {
        node.name: Problem(
            node=node.name,
            operator=node.operator,
            reason=_control_reason(graph, node),
            advice=_control_advice(node, inputs),
        )
        for node in graph.nodes
        if node.branches
    }
    if controls:
        found = {item.node: item for item in unknown(graph, independent(graph))} | controls
        problems = [found[node.name] for node in graph.nodes if node.name in found]
        raise UnsupportedModelError("The model cannot be converted.", problems)


def _control_reason(graph: Graph, node: Node) -> str:
    if node.op in _LOOPS:
        return _LOOPS[node.op]
    origins = " and ".join(map(repr, _origins(graph, node))) or repr(node.inputs[0])
    return f"what it runs depends on {origins}, where samples may differ."


def _control_advice(node: Node, inputs: int) -> str:
    if node.op in _LOOPS:
        return (
            "Only a number of steps that shapes and constants decide can be written out; convert "
            "what comes before it: --output TENSOR, output=."
        )
    if inputs > 1:
        return FIX_INPUT
    return "Convert what comes before it (--output TENSOR, output=), or one branch by itself."


def _origins(graph: Graph, node: Node) -> list[str]:
    """Return the inputs of the model that decide about a branch."""
    before, _ = live(graph.nodes, {}, node.inputs[:1])
    read = {name for item in before for name in item.inputs} | set(node.inputs[:1])
    return [name for name in graph.inputs if name in read]
