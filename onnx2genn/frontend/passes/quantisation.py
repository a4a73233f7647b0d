"""Quantised models: pairs of QuantizeLinear and DequantizeLinear between float operators.

Such a pair rounds to the levels ``s (q - z)``, q = 0..255 for 8 bits. Spikes round by themselves,
so the rounding goes; the range stays where it is an activation, and is its threshold. With s for
the smallest spike (few-spike coding with as many steps as the model has bits), a neuron then has
the very levels of the quantised model.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2genn.ir.graph import Graph, Node

_CLIP_HAS_INPUTS = 11
# Of values from 0 on, these give values from 0 to the same bound.
_KEEPS_RANGE = frozenset(
    {
        "AveragePool",
        "Flatten",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "Identity",
        "MaxPool",
        "ReduceMean",
        "Reshape",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)


def dequantise(graph: Graph) -> Graph:
    """Replace each pair by the range that it clips to, or by nothing.

    A range from 0 on is an activation, since tools that quantise drop the Relu before it. It stays,
    but for inputs of the network and where the values have been clipped before. A range of both
    signs only rounds.

    Args:
        graph: Graph in its own operators.
    """
    producers = graph.producers
    constants = dict(graph.constants)
    clipped: set[str] = set()
    nodes = []
    for node in graph.nodes:
        if node.op in _KEEPS_RANGE and node.inputs[0] in clipped:
            clipped.add(node.output)
        before = producers.get(node.inputs[0]) if node.inputs else None
        found = _range(node, before, graph.constants)
        if found is None or before is None:
            nodes.append(node)
            continue
        source, (low, high) = before.inputs[0], found
        if low < 0 or source in graph.inputs or source in clipped:
            nodes.append(replace(node, op="Identity", inputs=(source,), attributes={}))
            if source in clipped:
                clipped.add(node.output)
            continue
        clipped.add(node.output)
        if graph.opset < _CLIP_HAS_INPUTS:
            bounds = {"min": float(low), "max": float(high)}
            nodes.append(replace(node, op="Clip", inputs=(source,), attributes=bounds))
            continue
        names = tuple(f"{node.output}/{side}" for side in ("low", "high"))
        constants |= {names[0]: np.asarray(low), names[1]: np.asarray(high)}
        nodes.append(replace(node, op="Clip", inputs=(source, *names), attributes={}))
    if not clipped and nodes == graph.nodes:
        return graph
    freed = replace(graph, nodes=nodes, constants=constants).only_live()
    freed.notes.append("Activations are rounded by their spikes, not by QuantizeLinear.")
    return freed


def _range(
    node: Node, before: Node | None, constants: dict[str, np.ndarray]
) -> tuple[np.float32, np.float32] | None:
    """Return the range of a pair that ends in a node, of one scale for the whole tensor."""
    if node.op != "DequantizeLinear" or before is None or before.op != "QuantizeLinear":
        return None
    scale = constants.get(before.inputs[1])
    if scale is None or scale.size != 1:
        return None
    zero = constants[before.inputs[2]] if len(before.inputs) > 2 else np.zeros((), np.uint8)
    limits = np.iinfo(zero.dtype)
    low, high = (float(scale) * (limit - int(zero)) for limit in (limits.min, limits.max))
    return np.float32(low), np.float32(high)
