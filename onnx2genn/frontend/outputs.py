"""The outputs of a file: which ones are converted, and how several become one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import onnx
from onnx import helper

from onnx2genn.errors import UnsupportedModelError
from onnx2genn.frontend.probe import READS_SHAPE_ONLY
from onnx2genn.ir.graph import Graph

JOINED = "onnx2genn/outputs"
"""The one output that several are joined to while the model is read."""

_FLOATS = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
)

Wanted = str | Sequence[str] | None


def choose_outputs(proto: onnx.ModelProto, wanted: Wanted = None) -> tuple[str, ...]:
    """Choose the outputs to convert: those wanted, else all that hold floats.

    Classifiers of scikit-learn put integer labels first and the probabilities second, and may turn
    these into dictionaries (ZipMap): then the tensor before is taken.

    Args:
        proto: The model, functions inlined.
        wanted: Name of an output, or several names; tensors within the model are some, too.

    Raises:
        UnsupportedModelError: A wanted output does not exist, or depends on no input.
    """
    outputs = {info.name: info for info in proto.graph.output}
    names = [wanted] if isinstance(wanted, str) else list(dict.fromkeys(wanted or ()))
    made = {name for node in proto.graph.node for name in node.output}
    for name in names:
        if name not in outputs and name not in made:
            near = difflib.get_close_matches(name, made, n=3)
            hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise UnsupportedModelError(
                f"The model has no output {name!r}, and no tensor; its outputs are "
                f"{', '.join(outputs)}.{hint}"
            )
    zipped = {
        node.output[0]: node.input[0] for node in proto.graph.node if node.op_type == "ZipMap"
    }
    if names:
        chosen = [zipped.get(name, name) for name in names]
    else:
        chosen = _floats(proto, outputs, zipped)
    for name in chosen:
        if not name:
            raise UnsupportedModelError("An output of the model has no name.")
        if not input_names(proto, [name]):
            raise UnsupportedModelError(f"The output {name!r} does not depend on any input.")
    return tuple(chosen)


def _floats(
    proto: onnx.ModelProto,
    outputs: Mapping[str, onnx.ValueInfoProto],
    zipped: Mapping[str, str],
) -> list[str]:
    floats = [key for key, info in outputs.items() if info.type.tensor_type.elem_type in _FLOATS]
    if floats:  # others may take data of their own
        known = set(input_names(proto, floats[:1]))
        floats = [floats[0], *(name for name in floats[1:] if _reads_some(proto, name, known))]
    dictionaries = [zipped[key] for key in outputs if key in zipped]
    return floats or dictionaries[:1] or list(outputs)[:1]


def _reads_some(proto: onnx.ModelProto, output: str, known: set[str]) -> bool:
    found = set(input_names(proto, [output]))
    return bool(found) and found <= known


def input_names(proto: onnx.ModelProto, outputs: Sequence[str]) -> list[str]:
    """List the inputs whose values some outputs depend on, in the order of the model.

    Args:
        proto: The model, functions inlined.
        outputs: Names of the outputs.
    """
    needed = set(outputs)
    for node in reversed(proto.graph.node):
        if needed.intersection(node.output) and node.op_type not in READS_SHAPE_ONLY:
            needed.update(_read(node))
    needed -= {item.name for item in proto.graph.initializer}
    return [info.name for info in proto.graph.input if info.name in needed]


def _read(node: onnx.NodeProto) -> set[str]:
    """Return all that a node reads, in its branches, too."""
    found = set(node.input)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            found = found.union(*(_read(item) for item in graph.node))
            found.update(item.name for item in graph.output)
    return found


def joined(proto: onnx.ModelProto, names: Sequence[str]) -> tuple[onnx.ModelProto, str]:
    """Join several outputs side by side; return the model and the name of its one output.

    Args:
        proto: The model, functions inlined.
        names: The outputs.
    """
    if len(names) == 1:
        return proto, names[0]
    kinds = {info.name: info.type.tensor_type.elem_type for info in proto.graph.output}
    found = onnx.ModelProto()
    found.CopyFrom(proto)
    parts = []
    for name in names:
        source = name
        if kinds.get(name) != onnx.TensorProto.FLOAT:
            source = f"{JOINED}/{name}/float"
            found.graph.node.append(
                helper.make_node("Cast", [name], [source], to=onnx.TensorProto.FLOAT, name=source)
            )
        parts.append(f"{JOINED}/{name}")
        found.graph.node.append(
            helper.make_node("Flatten", [source], [parts[-1]], axis=1, name=parts[-1])
        )
    found.graph.node.append(helper.make_node("Concat", parts, [JOINED], axis=1, name=JOINED))
    return found, JOINED


def joined_tensors(graph: Graph) -> list[str]:
    """Return the tensors that are joined, each before it is flattened.

    Args:
        graph: Graph whose output joins several.
    """
    found = []
    for name in graph.producers[JOINED].inputs:
        while name.startswith(f"{JOINED}/") and name in graph.producers:
            name = graph.producers[name].inputs[0]
        found.append(name)
    return found
