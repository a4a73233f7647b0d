"""Operators on whole numbers that stand for floats, as pairs around float operators."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2genn.frontend.context import Context
from onnx2genn.frontend.operators.quantised import Floats
from onnx2genn.frontend.reference import Reference
from onnx2genn.frontend.rewrite import Refusal, problem
from onnx2genn.frontend.verify import require_same_codes
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.registry import entry_of

_MOVES = ("MaxPool", "Split")
_OF_A_BIAS = ("Cast", "Ceil", "Floor", "Reshape", "Round")
_NOTE = "What DynamicQuantizeLSTM rounds in each step is not rounded here; the file differs by it."

Scale = tuple[str, np.ndarray | None]
"""The whole numbers whose own scale it is, and what it is multiplied by."""


def as_floats(graph: Graph, context: Context) -> Graph:
    """Write QLinearConv, MatMulInteger and the like as float operators between roundings.

    What they compute of the file's own values is within one step of what the file computes.

    Args:
        graph: Graph in its own operators, which onnxruntime can run.
        context: Gets the problems of those that their handlers refuse.

    Raises:
        UnsupportedModelError: An operator gives other values than the file's.
    """
    if not any(entry_of(node).kind == "quantised" for node in graph.nodes):
        return graph
    floats = Floats(graph.names, graph.constants, graph.opset)
    scales: dict[str, Scale] = {}
    for node in graph.nodes:
        floats.scope = node.output or floats.scope  # names tell what it was made of
        try:
            _write(floats, node, scales)
        except Refusal as refusal:
            context.problems.append(problem(graph, node, refusal.reason, refusal.advice))
    if context.problems:
        return graph
    notes = [*graph.notes, *([_NOTE] if floats.inexact else [])]
    written = graph.rewritten(floats.nodes, floats.constants, notes=notes).only_live()
    reference = Reference(
        graph=graph,
        runner=context.runner(graph),
        input_types=context.input_types,
        batch=context.batch,
    )
    require_same_codes(reference, written, floats.of, floats.inexact)
    return written


def _write(floats: Floats, node: Node, scales: dict[str, Scale]) -> None:
    entry, source = entry_of(node), node.inputs[0] if node.inputs else ""
    if entry.kind == "quantised":
        if node.op == "DynamicQuantizeLinear":
            scales[node.outputs[1]] = node.output, None
        entry.handler(floats, node, *node.inputs)
        return
    if node.op == "Identity" and source in floats.given:
        floats.given[node.output] = floats.given[source]
    if node.op == "QuantizeLinear" and _has_one_scale(floats, node):
        if source in floats.given:
            floats.given[node.output] = _codes(floats, node)
            floats.add(node)
            return
        floats.rounded(node.inputs[0], node.inputs[1], _zero(node), output=node.output)
        return
    if node.op == "DequantizeLinear" and source in floats.of:
        floats.emit("Identity", floats.of[source], output=node.output, name=node.name)
        return
    if source in floats.of and (entry.selects or node.op in _MOVES):
        twins = {name: floats.twin(name) for name in node.outputs if name}
        floats.add(
            replace(node.renamed({**twins, source: floats.of[source]}), name=twins[node.output])
        )
        floats.of |= twins
        if source in floats.pairs:
            floats.pairs |= dict.fromkeys(twins, floats.pairs[source])
    elif source in floats.pairs and node.op == "Resize":  # which rounds what it interpolates
        made = floats.emit("Resize", floats.of[source], *node.inputs[1:], **node.attributes)
        floats.rounded(made, *floats.pairs[source], output=node.output)
        return
    elif node.op == "Cast" and source in floats.sums:
        floats.sums[node.output] = floats.sums[source]
    elif node.op == "Mul" and _rescale(floats, node, scales):
        return
    elif node.op in ("Div", "Add", *_OF_A_BIAS):
        _follow_bias(floats, node, scales)
    floats.add(node)


def _follow_bias(floats: Floats, node: Node, scales: dict[str, Scale]) -> None:
    """Follow a bias that is rounded to the scale of a sum of whole numbers, and added to it.

    Older versions of onnxruntime's quantiser write it so: ``floor(bias / scale)``.
    """
    source, *others = node.inputs
    if node.op == "Div" and source in floats.given and others[0] in scales:
        floats.biases[node.output] = floats.given[source], scales[others[0]]
    elif node.op in _OF_A_BIAS and source in floats.biases:
        bias, scale = floats.biases[source]
        sizes = [floats.given.get(name, np.zeros(1, np.int64)) for name in others]
        if all(np.all(size) for size in sizes):
            shape = sizes[0].tolist() if sizes else bias.shape
            floats.biases[node.output] = bias.reshape(shape), scale
    elif node.op == "Add":
        for name, other in ((source, others[0]), (others[0], source)):
            if name in floats.sums and other in floats.biases:
                _add_bias(floats, node, name, *floats.biases[other])


def _add_bias(floats: Floats, node: Node, name: str, bias: np.ndarray, scale: Scale) -> None:
    total, whole = floats.sums[name]
    source, factor = scale
    if source != whole:
        return
    step = np.ones(()) if factor is None else factor.reshape(_beside(factor, bias))
    shifted = floats.emit("Add", total, np.asarray(bias / step, np.float32))
    floats.sums[node.output] = shifted, whole


def _beside(factor: np.ndarray, bias: np.ndarray) -> tuple[int, ...]:
    """Shape in which scales of channels divide a bias that was reshaped."""
    return bias.shape if factor.size == bias.size else factor.shape


def _codes(floats: Floats, node: Node) -> np.ndarray:
    """Return the whole numbers of a constant."""
    values, scale, *zero = (floats.given[name] for name in node.inputs if name)
    shift = zero[0] if zero else np.zeros((), np.uint8)
    limits = np.iinfo(shift.dtype)
    with np.errstate(invalid="ignore"):
        steps = np.nan_to_num(values / scale)
    codes = np.rint(steps) + shift.astype(np.float64)
    return np.asarray(np.clip(codes, limits.min, limits.max), shift.dtype)


def _has_one_scale(floats: Floats, node: Node) -> bool:
    names = [name for name in node.inputs[1:] if name]
    known = all(name in floats.given and floats.given[name].size == 1 for name in names)
    whole = all(floats.given[name].dtype.kind in "iu" for name in names[1:] if known)
    plain = not node.attributes.get("output_dtype") and not node.attributes.get("axis")
    return known and whole and plain


def _zero(node: Node) -> str | None:
    return node.inputs[2] if len(node.inputs) > 2 else None


def _rescale(floats: Floats, node: Node, scales: dict[str, Scale]) -> bool:
    """Write a sum of whole numbers times its scales as a float; whether the node was that."""
    for name, other in (node.inputs, node.inputs[::-1]):
        if name in scales and other in floats.given:  # the scales of both operands
            before = scales[name][1]
            product = floats.given[other] if before is None else floats.given[other] * before
            scales[node.output] = scales[name][0], product
            return False
        if name in floats.sums and other in scales:
            total, whole = floats.sums[name]
            source, factor = scales[other]
            if source != whole:
                return False
            operands = [] if factor is None else [np.asarray(factor, np.float32)]
            op = "Identity" if factor is None else "Mul"
            floats.emit(op, total, *operands, output=node.output, name=node.name)
            return True
    return False
