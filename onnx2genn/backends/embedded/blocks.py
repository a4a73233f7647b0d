"""Spikes in the layout that onnxruntime's convolutions have, from one layer to the next.

Convolutions of onnxruntime are computed on channels in blocks (NCHWc). What enters one is brought
to that layout, and what leaves it back to the plain one. Neurons do not mind in which order they
lie. So onnxruntime optimises the model of each layer for this machine, and the nodes at its ends
that only change the layout are left out, where all layers that read the spikes want them in blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnx2genn.ir.blocked import MOST_BYTES, optimised
from onnx2genn.ir.segment import Segment

_DOMAIN, _ENTER, _LEAVE = "com.microsoft.nchwc", "ReorderInput", "ReorderOutput"
_MOST_CHANNELS = 64  # of a block
_ERRORS = 4


def models_in_blocks(
    parts: Sequence[tuple[str | None, Segment]],
) -> tuple[list[onnx.ModelProto | None], set[str]]:
    """Write the models of layers so that spikes stay in blocks between them.

    Args:
        parts: Of each layer the tensor that its neurons send, or None where its sums have to lie as
            they are, and the map to it.

    Returns:
        The model of each layer, optimised for this machine, or None where nothing is gained; and
        the tensors that lie in blocks.
    """
    size = block_size()
    made = [_optimised(segment) if size else None for _, segment in parts]
    blocked = {
        tensor
        for (tensor, _), model in zip(parts, made, strict=True)
        if tensor is not None and model is not None and _leaves(model, size)
    }
    for (_, segment), model in zip(parts, made, strict=True):
        blocked -= {name for name in segment.sources if model is None or not _enters(model, name)}
    found: list[onnx.ModelProto | None] = []
    for (tensor, segment), model in zip(parts, made, strict=True):
        entering, leaving = blocked.intersection(segment.sources), tensor in blocked
        if model is not None and (entering or leaving):
            _without_ends(model.graph, entering, leaving=leaving)
            found.append(model)
        else:
            found.append(None)
    return found, blocked


def in_plain_order(values: np.ndarray) -> np.ndarray:
    """Return values [..., channels, height, width] that lie in blocks as the shape says."""
    *rest, channels, height, width = values.shape
    size = block_size()
    blocks = values.reshape(*rest, channels // size, height, width, size)
    return np.moveaxis(blocks, -1, -3).reshape(values.shape)


@cache
def block_size() -> int:
    """Return how many channels a block has on this machine; 0 if onnxruntime has none there."""
    import onnxruntime

    node = helper.make_node(_ENTER, ["x"], ["y"], domain=_DOMAIN, channels_last=0)
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, _MOST_CHANNELS, 1, 2])
        for name in "xy"
    ]
    model = helper.make_model(
        helper.make_graph([node], "order", ends[:1], ends[1:]),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(_DOMAIN, 1)],
        ir_version=9,
    )
    x = np.arange(2 * _MOST_CHANNELS, dtype=np.float32).reshape(1, _MOST_CHANNELS, 1, 2)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS
    try:
        (found,) = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        ).run(None, {"x": x})
    except Exception:  # noqa: BLE001 - its exceptions share no public base class
        return 0
    channels = np.ravel(np.asarray(found))[:_MOST_CHANNELS] == 2 * np.arange(_MOST_CHANNELS)
    size = _MOST_CHANNELS if channels.all() else int(channels.argmin())
    return size if size > 1 and _MOST_CHANNELS % size == 0 else 0


def _optimised(segment: Segment) -> onnx.ModelProto | None:
    """Return what onnxruntime makes of a map; None where it has no convolution or pool."""
    weights = sum(array.nbytes for array in segment.constants.values())
    planar = any(node.op == "Conv" or node.op.endswith("Pool") for node in segment.nodes)
    return optimised(segment.to_onnx()) if planar and weights <= MOST_BYTES else None


def _leaves(model: onnx.ModelProto, size: int) -> bool:
    """Whether what a model computes lies in whole blocks before it is brought back."""
    (output,) = model.graph.output
    (last,) = (node for node in model.graph.node if output.name in node.output)
    given = {item.name: item.i for item in last.attribute}
    if (last.op_type, last.domain) != (_LEAVE, _DOMAIN) or given.get("channels_last"):
        return False
    return given["channels"] % size == 0


def _enters(model: onnx.ModelProto, source: str) -> bool:
    """Whether a model wants a source in blocks, and not otherwise."""
    readers = list(_readers(model.graph, source))
    return bool(readers) and all(
        (node.op_type, node.domain) == (_ENTER, _DOMAIN)
        and not any(item.name == "channels_last" and item.i for item in node.attribute)
        for node in readers
    )


def _readers(graph: onnx.GraphProto, name: str) -> Iterator[onnx.NodeProto]:
    return (node for node in graph.node if name in node.input)


def _without_ends(graph: onnx.GraphProto, entering: set[str], *, leaving: bool) -> None:
    """Leave out what brings sources to blocks, and the result back to the plain layout."""
    names, kept = {}, []
    result = graph.output[0].name
    for node in graph.node:
        if node.op_type == _ENTER and node.input[0] in entering:
            names[node.output[0]] = node.input[0]
        elif leaving and result in node.output:
            names[node.input[0]] = result
        else:
            kept.append(node)
    for node in kept:
        for ends in (node.input, node.output):
            ends[:] = [names.get(name, name) for name in ends]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(copies)
