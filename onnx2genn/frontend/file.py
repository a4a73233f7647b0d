"""The file: read, with what it refers to, and what of it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from onnx2genn.errors import UnsupportedModelError
from onnx2genn.frontend.probe import READS_SHAPE_ONLY

_WITH_TEXT = (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_STRING)

Source = str | Path | onnx.ModelProto
InputShape = Sequence[int] | Mapping[str, Sequence[int]]

_FLOATS = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
)


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
    return proto


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
    for field, value in message.ListFields():
        if field.type not in _WITH_TEXT:
            continue
        for item in (value,) if isinstance(value, str | bytes | Message) else value:
            if isinstance(item, Message):
                _require_text(item, label)
            elif isinstance(item, bytes):
                raise UnsupportedModelError(
                    f"{label} is damaged: its {field.name} {item!r} is no text in UTF-8."
                )


def _label(source: Source) -> str:
    return "The model" if isinstance(source, onnx.ModelProto) else str(source)


def choose_output(proto: onnx.ModelProto, wanted: str | None = None) -> str:
    """Choose the output to convert: the one wanted, else the first that holds floats.

    Classifiers of scikit-learn put integer labels first and the probabilities second, and may turn
    these into dictionaries (ZipMap): then the tensor before is taken.

    Raises:
        UnsupportedModelError: The wanted output does not exist, or depends on no input.
    """
    outputs = {info.name: info for info in proto.graph.output}
    if wanted is not None and wanted not in outputs:
        raise UnsupportedModelError(
            f"The model has no output {wanted!r}; its outputs are {', '.join(outputs)}."
        )
    zipped = {
        node.output[0]: node.input[0] for node in proto.graph.node if node.op_type == "ZipMap"
    }
    chosen = _chosen(outputs, zipped) if wanted is None else zipped.get(wanted, wanted)
    if not input_names(proto, chosen):
        raise UnsupportedModelError(f"The output {chosen!r} does not depend on any input.")
    return chosen


def _chosen(outputs: Mapping[str, onnx.ValueInfoProto], zipped: Mapping[str, str]) -> str:
    floats = [key for key, info in outputs.items() if info.type.tensor_type.elem_type in _FLOATS]
    dictionaries = [zipped[key] for key in outputs if key in zipped]
    return (floats or dictionaries or list(outputs))[0]


def input_names(proto: onnx.ModelProto, output: str) -> list[str]:
    """List the inputs whose values an output depends on, in the order of the model.

    Args:
        proto: The model, functions inlined.
        output: Name of the output.
    """
    needed = {output}
    for node in reversed(proto.graph.node):
        if needed.intersection(node.output) and node.op_type not in READS_SHAPE_ONLY:
            needed.update(node.input)
    needed -= {item.name for item in proto.graph.initializer}
    return [info.name for info in proto.graph.input if info.name in needed]
