"""The file: read, with what it refers to, and what of it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import onnx.numpy_helper
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from onnx2genn.errors import UnsupportedModelError

_WITH_TEXT = (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_STRING)

# onnxruntime runs operators as they are since opset 7, where they broadcast; onnx converts to them.
_OLDEST_OPSET, _WRITTEN_OPSET = 7, 13
_ANY_SIZE = 2
_BFLOAT16 = onnx.TensorProto.BFLOAT16
_TYPES = ("to", "dtype", "stash_type")  # attributes that name an element type

Source = str | Path | onnx.ModelProto
InputShape = Sequence[int] | Mapping[str, Sequence[int]]


def load_proto(source: Source) -> onnx.ModelProto:
    """Load a model, with its external data, and inline its local functions.

    Args:
        source: Path of an ONNX file, or a model in memory.

    Raises:
        UnsupportedModelError: The file is missing, is no ONNX model, or lacks its external data.
    """
    proto = source if isinstance(source, onnx.ModelProto) else _load_file(Path(source))
    _require_text(proto, _label(source))
    if not proto.graph.output:
        raise UnsupportedModelError(
            f"{_label(source)} holds no ONNX graph with an output: is it an ONNX model at all?"
        )
    if proto.functions:
        from onnx import inliner

        proto = inliner.inline_local_functions(proto)
    return _without_bfloat16(_of_known_opset(proto, _label(source)))


def _of_known_opset(proto: onnx.ModelProto, label: str) -> onnx.ModelProto:
    """Write a model of operators that onnxruntime no longer runs in those that it does."""
    versions = [item.version for item in proto.opset_import if item.domain in ("", "ai.onnx")]
    if not versions or min(versions) >= _OLDEST_OPSET:
        return proto
    from onnx import version_converter

    closed = onnx.ModelProto()  # the converter takes no open sizes
    closed.CopyFrom(proto)
    del closed.graph.value_info[:]
    for info in closed.graph.input:
        for axis in info.type.tensor_type.shape.dim:
            axis.dim_value = axis.dim_value if axis.dim_value > 0 else _ANY_SIZE
    try:
        _place_operands(closed)
        written = version_converter.convert_version(closed, _WRITTEN_OPSET)
    except Exception as error:  # onnx's converter has no error of its own
        reason = " ".join(str(error).split())
        raise UnsupportedModelError(
            f"{label} is of opset {min(versions)}, which onnxruntime does not run, and onnx's "
            f"version converter cannot write it in a newer one: {reason}. Export it with opset "
            f"{_WRITTEN_OPSET} or newer."
        ) from error
    for info, known in zip(written.graph.input, proto.graph.input, strict=True):
        info.CopyFrom(known)
    del written.graph.value_info[:]
    return written


def _without_bfloat16(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Write a model that computes in bfloat16, which onnxruntime's CPU does not, in float32."""
    if _BFLOAT16 not in _element_types(proto.graph):
        return proto
    found = onnx.ModelProto()
    found.CopyFrom(proto)
    _widen(found.graph)
    return found


def _element_types(graph: onnx.GraphProto) -> set[int]:
    kinds = {item.data_type for item in graph.initializer}
    kinds |= {info.type.tensor_type.elem_type for info in (*graph.input, *graph.output)}
    for attribute in (item for node in graph.node for item in node.attribute):
        kinds |= {attribute.i} if attribute.name in _TYPES else {attribute.t.data_type}
        for inner in (attribute.g, *attribute.graphs):
            kinds |= _element_types(inner)
    return kinds


def _widen(graph: onnx.GraphProto) -> None:
    tensors = list(graph.initializer)
    for attribute in (item for node in graph.node for item in node.attribute):
        if attribute.name in _TYPES and attribute.i == _BFLOAT16:
            attribute.i = onnx.TensorProto.FLOAT
        tensors += [attribute.t] if attribute.HasField("t") else []
        for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            _widen(inner)
    for tensor in tensors:
        if tensor.data_type == _BFLOAT16:
            values = onnx.numpy_helper.to_array(tensor).astype("float32")
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    for info in (*graph.input, *graph.output):
        if info.type.tensor_type.elem_type == _BFLOAT16:
            info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    del graph.value_info[:]


def _place_operands(proto: onnx.ModelProto) -> None:
    """Give constant operands that broadcast from an axis on the axes behind it.

    onnx's converter adds one too many.
    """
    known = onnx.shape_inference.infer_shapes(proto).graph
    ranks = {
        info.name: len(info.type.tensor_type.shape.dim)
        for info in (*known.input, *known.value_info, *known.output)
    }
    fixed = {item.name: item for item in proto.graph.initializer}
    for node in proto.graph.node:
        axis = next((item.i for item in node.attribute if item.name == "axis"), None)
        broadcasts = any(item.name == "broadcast" and item.i for item in node.attribute)
        if axis is None or not broadcasts or node.input[1] not in fixed:
            continue
        operand = onnx.TensorProto()
        operand.CopyFrom(fixed[node.input[1]])
        behind = ranks[node.input[0]] - axis % ranks[node.input[0]] - len(operand.dims)
        operand.dims.extend([1] * behind)
        operand.name = f"{node.output[0]}/{node.input[1]}"
        proto.graph.initializer.append(operand)
        node.input[1] = operand.name
        kept = [item for item in node.attribute if item.name != "axis"]
        del node.attribute[:]
        node.attribute.extend(kept)


def _load_file(path: Path) -> onnx.ModelProto:
    try:
        if not path.is_file():
            raise UnsupportedModelError(f"There is no model file {str(path)!r}.")
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise UnsupportedModelError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        return onnx.load(path)
    except (FileNotFoundError, onnx.checker.ValidationError) as error:
        raise UnsupportedModelError(
            f"{path} keeps its weights in a second file that cannot be read: {error}. "
            "Put that file beside the model, under the name it was exported with."
        ) from error
    except Exception as error:  # protobuf's DecodeError, under several names
        raise UnsupportedModelError(f"{path} is not an ONNX model: {error}.") from error


def _require_text(message: Message, label: str) -> None:
    """Refuse names that are no UTF-8: protobuf reads them, as bytes, but does not write them."""
    # All fields of a tensor would be a copy of its weights.
    fields = _text_of(message) if isinstance(message, onnx.TensorProto) else message.ListFields()
    for field, value in fields:
        if field.type not in _WITH_TEXT:
            continue
        for item in (value,) if isinstance(value, str | bytes | Message) else value:
            if isinstance(item, Message):
                _require_text(item, label)
            elif isinstance(item, bytes):
                raise UnsupportedModelError(
                    f"{label} is damaged: its {field.name} {item!r} is no text in UTF-8."
                )


def _text_of(tensor: onnx.TensorProto) -> list[tuple[FieldDescriptor, Any]]:
    """Return the fields of a tensor that hold text; the others hold numbers and bytes."""
    texts = (field for field in tensor.DESCRIPTOR.fields if field.type in _WITH_TEXT)
    return [(field, getattr(tensor, field.name)) for field in texts if field.name != "segment"]


def _label(source: Source) -> str:
    return "The model" if isinstance(source, onnx.ModelProto) else str(source)
