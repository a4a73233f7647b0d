"""The file: read, with what it refers to, and what of it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from onnx2genn.errors import UnsupportedModelError

_WITH_TEXT = (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_STRING)

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
