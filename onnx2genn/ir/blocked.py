"""Rounding that stays in onnxruntime's blocked layout.

Convolutions of onnxruntime are fastest on channels in blocks (NCHWc), and it keeps that layout
through the activations that it knows. Floor is none of them: around each, all values would be moved
to the plain layout and back. So a stand-in that it knows takes the place of the rounding while it
optimises the graph, and the rounding comes back afterwards; element by element, no layout matters.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
from onnx import helper

MOST_BYTES = 2**27
"""Of weights that are optimised for this machine, for which they are copied some times."""

# Activations that onnxruntime takes into convolutions in this layout.
_STAND_INS = ("Tanh", "Sigmoid", "Relu")
_ERRORS = 4
_RANK = 4  # of maps [N, channels, height, width]


@dataclass(frozen=True, slots=True)
class _Rounding:
    """Floor(Clip(x, least, most)), and the tensor that it computes."""

    tensor: str
    least: float
    most: float


def in_blocked_layout(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """Optimise a model that rounds what its convolutions compute; keep the layout meanwhile.

    Args:
        model: The model, with its weights in it. It is not changed.

    Returns:
        The optimised model, which onnxruntime runs on this machine as it is; None where there is
        nothing to gain, or where onnxruntime optimises otherwise than is expected.
    """
    operators = {node.op_type for node in model.graph.node}
    stand_in = next((op for op in _STAND_INS if op not in operators), None)
    if stand_in is None or "Conv" not in operators or model.ByteSize() > MOST_BYTES:
        return None
    found = onnx.ModelProto()
    found.CopyFrom(model)
    roundings = _take_out(found.graph, stand_in)
    if not roundings:
        return None
    _scale_by_batch_normalisation(found)
    wanted = list(model.graph.output)
    more = {item.tensor for item in roundings}.difference(item.name for item in wanted)
    found.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(more))
    best = optimised(found)
    if best is None or not _put_back(best.graph, roundings, stand_in):
        return None
    _keep(best.graph, wanted)
    return best


def optimised(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """Return what onnxruntime makes of a model on this machine; None if it cannot."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS
    options.intra_op_num_threads = 1
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "optimised.onnx")
            options.optimized_model_filepath = str(path)
            onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            return onnx.load(path)
    except Exception:  # noqa: BLE001 - as it was, it runs; or says why it does not
        return None


def _take_out(graph: onnx.GraphProto, stand_in: str) -> list[_Rounding]:
    """Write the stand-in for each Floor(Clip(x)); return these."""
    constants = {item.name: item for item in graph.initializer}
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(item.name for item in graph.output)
    clips = {node.output[0]: node for node in graph.node if node.op_type == "Clip"}
    roundings, gone = [], set()
    for node in graph.node:
        clip = clips.get(node.input[0]) if node.op_type == "Floor" else None
        if clip is None or readers[node.input[0]] != 1:
            continue
        bounds = [constants.get(name) for name in clip.input[1:]]
        if len(bounds) == 2 and all(bounds):
            least, most = (float(onnx.numpy_helper.to_array(item)) for item in bounds if item)
            roundings.append(_Rounding(node.output[0], least, most))
            gone.add(clip.output[0])
            node.op_type, node.input[0] = stand_in, clip.input[0]
    _replace_nodes(graph, (node for node in graph.node if node.output[0] not in gone))
    return roundings


def _scale_by_batch_normalisation(model: onnx.ModelProto) -> None:
    """Write factors and shifts of channels as an operator that the layout has, too."""
    graph = model.graph
    known = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        item.name: [size.dim_value for size in item.type.tensor_type.shape.dim]
        for item in (*known.value_info, *known.input, *known.output)
        if item.type.tensor_type.HasField("shape")
    }
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    kept = {item.name for item in graph.output}
    nodes, joined = [], set()
    for node in graph.node:
        if node.output[0] in joined:
            continue
        scale = _by_channel(node, "Mul", shapes, constants)
        if scale is None:
            nodes.append(node)
            continue
        shift, output = np.zeros_like(scale), node.output[0]
        behind = readers.get(output, [])
        if len(behind) == 1 and output not in kept:
            added = _by_channel(behind[0], "Add", shapes, constants)
            if added is not None and behind[0].input[0] == output:
                shift, output = added, behind[0].output[0]
                joined.add(output)
        nodes.append(_normalisation(graph, node.input[0], scale, shift, output))
    _replace_nodes(graph, nodes)


def _by_channel(
    node: onnx.NodeProto,
    operator: str,
    shapes: Mapping[str, list[int]],
    constants: Mapping[str, np.ndarray],
) -> np.ndarray | None:
    """Return the operand of a product or a sum that has one value for each channel of a map."""
    if node.op_type != operator or node.input[1] not in constants:
        return None
    operand, shape = constants[node.input[1]], shapes.get(node.input[0], [])
    channels = shape[1] if len(shape) == _RANK else 0
    fits = operand.size == channels and operand.shape[-3:] == (channels, 1, 1)
    return operand.reshape(-1) if channels and fits else None


def _normalisation(
    graph: onnx.GraphProto, source: str, scale: np.ndarray, shift: np.ndarray, output: str
) -> onnx.NodeProto:
    """Write ``scale x + shift``: a normalisation by a mean of 0 and a variance of 1."""
    values = {"scale": scale, "shift": shift, "mean": 0 * scale, "variance": 0 * scale + 1}
    names = [f"{output}/{role}" for role in values]
    graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(array, np.float32), name)
        for name, array in zip(names, values.values(), strict=True)
    )
    return helper.make_node("BatchNormalization", [source, *names], [output], epsilon=0.0)


def _put_back(graph: onnx.GraphProto, roundings: Iterable[_Rounding], stand_in: str) -> bool:
    """Round again where the stand-in is; return False if it is not where it was."""
    producers = {name: node for node in graph.node for name in node.output}
    rounded: dict[str, list[onnx.NodeProto]] = {}
    for item in roundings:
        node = producers.get(item.tensor)
        if node is not None and node.op_type == "ReorderOutput":
            node = producers.get(node.input[0])
        if node is None or node.output[0] in rounded:
            return False
        nodes = _rounded(graph, node, item, stand_in)
        if not nodes:
            return False
        rounded[node.output[0]] = nodes
    nodes = [item for node in graph.node for item in rounded.get(node.output[0], [node])]
    _replace_nodes(graph, nodes)
    return True


def _rounded(
    graph: onnx.GraphProto, node: onnx.NodeProto, item: _Rounding, stand_in: str
) -> list[onnx.NodeProto]:
    """Return what takes the place of a node that is a stand-in or has it behind it, or nothing."""
    output, clipped = node.output[0], f"{item.tensor}/clipped"
    floor = helper.make_node("Floor", [clipped], [output])
    if node.op_type == stand_in:
        return [_clip(graph, item, node.input[0], clipped), floor]
    attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    if attributes.get("activation") != stand_in.encode():
        return []
    others: dict[str, Any] = {
        key: value for key, value in attributes.items() if "activation" not in key
    }
    if node.op_type == "FusedGemm":
        product = f"{item.tensor}/product"
        gemm = helper.make_node("Gemm", node.input, [product], **others)
        return [gemm, _clip(graph, item, product, clipped), floor]
    others |= {"activation": "Clip", "activation_params": [item.least, item.most]}
    convolution = helper.make_node(
        node.op_type, node.input, [clipped], node.name, None, node.domain, **others
    )
    return [convolution, floor]


def _clip(graph: onnx.GraphProto, item: _Rounding, source: str, output: str) -> onnx.NodeProto:
    names = [f"{item.tensor}/least", f"{item.tensor}/most"]
    graph.initializer.extend(
        onnx.numpy_helper.from_array(np.float32(value).reshape(()), name)
        for name, value in zip(names, (item.least, item.most), strict=True)
    )
    return helper.make_node("Clip", [source, *names], [output])


def _keep(graph: onnx.GraphProto, outputs: Iterable[onnx.ValueInfoProto]) -> None:
    """Leave the nodes that some outputs need."""
    found = list(outputs)
    needed, nodes = {item.name for item in found}, []
    for node in reversed(graph.node):
        if not needed.isdisjoint(node.output):
            needed.update(node.input)
            nodes.append(node)
    _replace_nodes(graph, nodes[::-1])
    constants = [item for item in graph.initializer if item.name in needed]
    del graph.initializer[:], graph.output[:], graph.value_info[:]
    graph.initializer.extend(constants)
    graph.output.extend(found)


def _replace_nodes(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    found = []
    for node in nodes:
        kept = onnx.NodeProto()
        kept.CopyFrom(node)
        found.append(kept)
    del graph.node[:]
    graph.node.extend(found)
