"""Preparation of samples as the first operators of a model, so that all that follows has it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx
from onnx import helper, numpy_helper

from onnx2genn.errors import DataError
from onnx2genn.frontend.outputs import Wanted, choose_outputs, input_names
from onnx2genn.ir.preprocessing import CHANNELS_FIRST, CHANNELS_LAST, Preprocessing

_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)
_BROADCASTS = 7
_IMAGES = 4
_FEW = 4
"""Channels of an image, at most: by them it is told where the model has them."""
_SCOPE = "onnx2genn/prepared"

Dims = list[int | None]


def prepared(
    proto: onnx.ModelProto, preprocessing: Preprocessing, output: Wanted = None
) -> onnx.ModelProto:
    """Let a model take samples as they are before preprocessing.

    Args:
        proto: The model, functions inlined.
        preprocessing: What is done to samples.
        output: The outputs that are converted.

    Returns:
        A model with the same names of inputs and outputs; the same one if there is nothing to do.

    Raises:
        DataError: The model has several inputs, or one that does not go with the preprocessing.
    """
    if not preprocessing.options().keys() - {"resize"}:
        return proto
    names = input_names(proto, choose_outputs(proto, output))
    if len(names) != 1:
        raise DataError(
            f"Preprocessing is for models of one input, and this one has {', '.join(names)}: "
            "prepare the samples before."
        )
    found = onnx.ModelProto()
    found.CopyFrom(proto)
    (info,) = (item for item in found.graph.input if item.name == names[0])
    nodes = _layout(info, preprocessing) + _scaling(found, info, preprocessing)
    if not nodes:
        return proto
    if info.type.tensor_type.HasField("shape"):
        _permute_shape(info, nodes[0])
    _link(nodes, info.name)
    _read_instead(found.graph.node, info.name, nodes[-1].output[0])
    rest = list(found.graph.node)
    del found.graph.node[:]
    found.graph.node.extend([*nodes, *rest])
    return found


def _dims(info: onnx.ValueInfoProto) -> Dims:
    return [
        item.dim_value if item.HasField("dim_value") and item.dim_value > 0 else None
        for item in info.type.tensor_type.shape.dim
    ]


def _shown(dims: Dims) -> str:
    return str(["?" if size is None else size for size in dims[1:]]).replace("'", "")


def _layout(info: onnx.ValueInfoProto, preprocessing: Preprocessing) -> list[onnx.NodeProto]:
    """Bring samples to the layout of the model, if they have another one."""
    if preprocessing.layout is None:
        return []
    dims = _dims(info)
    axis = _channel_axis(dims)
    if axis is None:
        raise DataError(
            f"layout is {preprocessing.layout!r}, but it is not seen where samples {_shown(dims)} "
            "of the model have channels: these are the first or the last of three axes, and no "
            f"more than {_FEW}. Bring the samples to the shape of the model, and leave layout out."
        )
    if preprocessing.layout == (CHANNELS_FIRST if axis == 1 else CHANNELS_LAST):
        return []
    order = (0, 3, 1, 2) if axis == 1 else (0, 2, 3, 1)
    return [helper.make_node("Transpose", [""], [f"{_SCOPE}/layout"], perm=order)]


def _channel_axis(dims: Dims) -> int | None:
    """Tell from the shape where a model has its channels: the first of those it may be."""
    if len(dims) != _IMAGES:
        return None
    ends = [axis for axis in (1, 3) if (dims[axis] or _FEW + 1) <= _FEW]
    return next(iter(ends), None)


def _scaling(
    proto: onnx.ModelProto, info: onnx.ValueInfoProto, preprocessing: Preprocessing
) -> list[onnx.NodeProto]:
    factor, shift = preprocessing.factor, preprocessing.shift
    chosen = [("Mul", factor)] if (factor != 1).any() else []
    chosen += [("Add", shift)] if shift.any() else []
    kind = info.type.tensor_type.elem_type
    if chosen and kind not in _FLOATS:
        raise DataError(
            f"scale, mean and std give fractions, and the input {info.name!r} takes whole numbers: "
            "the model does that itself. Leave them out."
        )
    opsets = [item.version for item in proto.opset_import if item.domain in ("", "ai.onnx")]
    if chosen and max(opsets, default=1) < _BROADCASTS:
        raise DataError(f"scale, mean and std need a model of opset {_BROADCASTS} or newer.")
    shape = _constant_shape(_dims(info), preprocessing.channels)
    nodes = []
    for op, values in chosen:
        name = f"{_SCOPE}/{op}"
        array = values.reshape(shape).astype(helper.tensor_dtype_to_np_dtype(kind))
        constant = helper.make_node(
            "Constant", [], [f"{name}/values"], value=numpy_helper.from_array(array)
        )
        nodes += [constant, helper.make_node(op, ["", f"{name}/values"], [name], name=name)]
    return nodes


def _constant_shape(dims: Dims, channels: int) -> Sequence[int]:
    """Return the shape of values for channels, so that they are for the axis of channels."""
    if channels == 1:
        return ()
    rank = len(dims)
    ends = dict.fromkeys((1, rank - 1)) if rank > 1 else {}
    for axis in ends:
        if dims[axis] == channels:
            return [channels if index == axis else 1 for index in range(1, rank)]
    raise DataError(
        f"mean or std has {channels} values, but samples {_shown(dims)} of the model do not have "
        f"{channels} channels first or last. Give one value for all, or one for each channel."
    )


def _permute_shape(info: onnx.ValueInfoProto, node: onnx.NodeProto) -> None:
    """Let an input have the shape that it has before a transposition."""
    if node.op_type != "Transpose":
        return
    dims = info.type.tensor_type.shape.dim
    known = [type(item).FromString(item.SerializeToString()) for item in dims]
    for place, item in zip(node.attribute[0].ints, known, strict=True):
        dims[place].CopyFrom(item)


def _link(nodes: Sequence[onnx.NodeProto], name: str) -> None:
    """Let each node read the one before, and the first one the input."""
    for node in nodes:
        if node.op_type != "Constant":
            node.input[0] = name
            name = node.output[0]


def _read_instead(nodes: Iterable[onnx.NodeProto], old: str, new: str) -> None:
    """Let nodes, those of branches, too, read another tensor."""
    for node in nodes:
        node.input[:] = [new if name == old else name for name in node.input]
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                _read_instead(graph.node, old, new)
