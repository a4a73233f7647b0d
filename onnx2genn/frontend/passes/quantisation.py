"""Quantised models: pairs of QuantizeLinear and DequantizeLinear between float operators.

Such a pair rounds to the levels ``s (q - z)``, q = 0..255 for 8 bits. Spikes round by themselves,
so the rounding goes; the range stays where the values reach beyond it, and is a threshold. With s
for the smallest spike (few-spike coding with as many steps as the model has bits), a neuron then
has the very levels of the quantised model. In float8, whose levels lie the closer the smaller they
are, the step is that of the largest values; two casts are such a pair, too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from onnx import helper

from onnx2genn.frontend.context import Context, Rounding
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.registry import entry_of

_CLIP_HAS_INPUTS = 11
_NOTE = "Activations are rounded by their spikes, not by QuantizeLinear."

Range = tuple[float, float]
_ALL = (-np.inf, np.inf)


def dequantise(graph: Graph, context: Context) -> Graph:
    """Replace each pair by the range that it clips to, or by nothing where no value exceeds it.

    A range from 0 on is an activation, since tools that quantise drop the Relu before it. That of
    an input is left to what prepares the samples, and that of the output is a head, which is taken
    off.

    Args:
        graph: Graph in its own operators.
        context: Gets the roundings that are gone, and the limits of the inputs.
    """
    ranges: dict[str, Range] = {}
    builder = Builder("dequantised", graph.producers)
    for node in graph.nodes:
        before = graph.producers.get(node.inputs[0]) if node.inputs else None
        rounding = _rounding(node, before, graph)
        if rounding is None:
            builder.add(node)
            ranges[node.output] = _range_of(node, ranges)
            continue
        entry = _entry(graph, rounding.source) if rounding.step else None
        context.roundings[node.output] = replace(rounding, entering=entry is not None)
        if entry is not None:
            name, factor, shift = entry
            low, high = sorted((bound - shift) / factor for bound in rounding.range)
            context.limits[name] = low, high
            ranges[rounding.source] = rounding.range
        within = ranges.get(rounding.source, _ALL)
        clips = node.output != graph.output and not _contains(rounding, within)
        _write(builder, node, rounding, graph, clip=clips)
        low, high = rounding.range if clips else within
        ranges[node.output] = (
            rounding.ratio * low + rounding.shift,
            rounding.ratio * high + rounding.shift,
        )
    if not context.roundings:
        return graph
    return replace(
        graph,
        nodes=builder.nodes,
        constants={**graph.constants, **builder.constants},
        notes=[*graph.notes, _NOTE],
    ).only_live()


def _entry(graph: Graph, name: str) -> tuple[str, float, float] | None:
    """Find the input that a tensor is, or is a factor and a shift of, for all of its elements.

    Returns:
        The input, the factor and the shift; None if the tensor is anything else, or if the input
        is read elsewhere, too.
    """
    factor, shift = 1.0, 0.0
    while name not in graph.inputs:
        node = graph.producers.get(name)
        if node is None or len(graph.consumers[node.inputs[0]]) > 1:
            return None
        if node.op in ("Mul", "Add"):
            value = graph.constants.get(node.inputs[1])
            if value is None or value.size != 1 or not float(value.reshape(-1)[0]):
                return None
            operand = float(value.reshape(-1)[0])
            shift += factor * operand if node.op == "Add" else 0.0
            factor *= operand if node.op == "Mul" else 1.0
        elif node.op != "Transpose":
            return None
        name = node.inputs[0]
    return name, factor, shift


def _rounding(node: Node, before: Node | None, graph: Graph) -> Rounding | None:
    """Describe the pair that ends in a node, if each half has one scale for the whole tensor."""
    if node.op != "DequantizeLinear" or before is None:
        return _casts(node, before)
    if before.op == "DynamicQuantizeLinear" and node.inputs == before.outputs:
        return Rounding(
            source=before.inputs[0], low=-np.inf, high=np.inf, ratio=1.0, shift=0.0, step=0.0
        )
    if before.op != "QuantizeLinear":
        return None
    first, second = _scale(before, graph), _scale(node, graph)
    if first is None or second is None:
        return None
    (scale, zero, kind), (other, shift, _) = first, second
    least, most, step = _levels(kind)
    return Rounding(
        source=before.inputs[0],
        low=scale * (least - zero),
        high=scale * (most - zero),
        ratio=other / scale,
        shift=other * (zero - shift),
        step=other * step,
    )


def _casts(node: Node, before: Node | None) -> Rounding | None:
    """Describe a cast to float8 and back."""
    if node.op != "Cast" or before is None or before.op != "Cast":
        return None
    small, back = (
        helper.tensor_dtype_to_np_dtype(item.attributes["to"]) for item in (before, node)
    )
    if not _is_float8(small) or back.kind != "f" or not before.attributes.get("saturate", 1):
        return None
    least, most, step = _levels(small)
    return Rounding(source=before.inputs[0], low=least, high=most, ratio=1.0, shift=0.0, step=step)


def _is_float8(kind: np.dtype) -> bool:
    return str(kind).startswith("float8")


def _levels(kind: np.dtype) -> tuple[float, float, float]:
    """Return the least and the largest number of a type, and the largest step between two."""
    if kind.kind in "iu":
        whole = np.iinfo(kind)
        return whole.min, whole.max, 1.0
    import ml_dtypes

    limits = ml_dtypes.finfo(kind)  # type: ignore[no-untyped-call]
    most = float(limits.max)
    return -most, most, 2.0 ** (np.floor(np.log2(most)) - limits.nmant)


def _scale(node: Node, graph: Graph) -> tuple[float, float, np.dtype] | None:
    """Return scale, zero point and type of the small numbers of one half of a pair."""
    scale = graph.constants.get(node.inputs[1])
    if scale is None or scale.size != 1:
        return None
    given = node.attributes.get("output_dtype") if node.op == "QuantizeLinear" else None
    zero = np.zeros((), helper.tensor_dtype_to_np_dtype(given) if given else np.uint8)
    if len(node.inputs) > 2 and node.inputs[2]:
        if node.inputs[2] not in graph.constants:
            return None
        zero = graph.constants[node.inputs[2]]
    if zero.dtype.kind not in "iu" and not _is_float8(zero.dtype):
        return None
    return float(scale.reshape(-1)[0]), float(zero.reshape(-1)[0]), zero.dtype


def _write(builder: Builder, node: Node, rounding: Rounding, graph: Graph, *, clip: bool) -> None:
    """Write ``ratio * clip(x, low, high) + shift`` in place of a pair."""
    chain: list[tuple[str, tuple[float, ...]]] = []
    if clip:
        chain.append(("Clip", (rounding.low, rounding.high)))
    if rounding.ratio != 1.0:
        chain.append(("Mul", (rounding.ratio,)))
    if rounding.shift:
        chain.append(("Add", (rounding.shift,)))
    source = rounding.source
    for index, (op, operands) in enumerate(chain or [("Identity", ())], start=1):
        last = index == max(len(chain), 1)
        names = {"output": node.output, "name": node.name} if last else {}
        if op == "Clip" and graph.opset < _CLIP_HAS_INPUTS:
            low, high = operands
            source = builder.emit(op, source, min=low, max=high, **names)
        else:
            scale = graph.constants[node.inputs[1]].dtype if operands else np.dtype(np.float32)
            source = builder.emit(op, source, *(scale.type(item) for item in operands), **names)


def _range_of(node: Node, ranges: dict[str, Range]) -> Range:
    entry = entry_of(node)
    own = entry.output_range
    if not entry.bounded:
        return own
    low, high = ranges.get(node.inputs[0], _ALL)
    return max(own[0], min(low, 0.0)), min(own[1], max(high, 0.0))


def _contains(rounding: Rounding, values: Range) -> bool:
    """Whether values never get more than half a step beyond the range of a pair."""
    low, high = values
    more = rounding.step / abs(rounding.ratio) / 2
    return rounding.low - more <= low and high <= rounding.high + more
