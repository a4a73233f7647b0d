"""From a file or a ModelProto to a Graph in the model's own operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2genn.errors import Problem, UnsupportedModelError
from onnx2genn.frontend.passes.canonicalise import unknown
from onnx2genn.frontend.probe import READS_SHAPE_ONLY, independent
from onnx2genn.ir.graph import Graph, Node

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
    if not proto.graph.output:
        raise UnsupportedModelError(
            f"{_label(source)} holds no ONNX graph with an output: is it an ONNX model at all?"
        )
    if proto.functions:
        from onnx import inliner

        proto = inliner.inline_local_functions(proto)
    return proto


def _load_file(path: Path) -> onnx.ModelProto:
    if not path.is_file():
        raise UnsupportedModelError(f"There is no model file {str(path)!r}.")
    try:
        return onnx.load(path)
    except (FileNotFoundError, onnx.checker.ValidationError) as error:
        raise UnsupportedModelError(
            f"{path} keeps its weights in a second file that cannot be read: {error}. "
            "Put that file beside the model, under the name it was exported with."
        ) from error
    except Exception as error:  # protobuf's DecodeError, under several names
        raise UnsupportedModelError(f"{path} is not an ONNX model: {error}.") from error


def _label(source: Source) -> str:
    return "The model" if isinstance(source, onnx.ModelProto) else str(source)


def choose_output(proto: onnx.ModelProto, wanted: str | None = None) -> str:
    """Choose the output to convert: the one wanted, else the first that holds floats.

    Classifiers of scikit-learn put integer labels first and the probabilities second, and may turn
    these into dictionaries (ZipMap): then the tensor before is taken.

    Raises:
        UnsupportedModelError: The wanted output does not exist.
    """
    outputs = {info.name: info for info in proto.graph.output}
    if wanted is not None and wanted not in outputs:
        raise UnsupportedModelError(
            f"The model has no output {wanted!r}; its outputs are {', '.join(outputs)}."
        )
    zipped = {
        node.output[0]: node.input[0] for node in proto.graph.node if node.op_type == "ZipMap"
    }
    if wanted is not None:
        return zipped.get(wanted, wanted)
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


def raw_graph(
    proto: onnx.ModelProto, output: str, input_shape: InputShape | None = None
) -> tuple[Graph, dict[str, int], int | None]:
    """Turn a model into a Graph in its own operators.

    Args:
        proto: The model, functions inlined.
        output: Name of the output to keep.
        input_shape: Shape of one sample, used where the model leaves axes open; of a model with
            several inputs the shapes by name.

    Returns:
        The graph, the ONNX element type of each input, and the size to which the model fixes its
        batch axis (None if it leaves it open).

    Raises:
        UnsupportedModelError: An input has no batch axis or an open axis that nothing fixes, the
            inputs have several batch sizes, or the graph branches at run time.
    """
    constants = {item.name: numpy_helper.to_array(item) for item in proto.graph.initializer}
    nodes = _nodes(proto.graph, constants)
    opset, imports = _opsets(proto)
    graph = Graph(
        inputs={},
        output=output,
        nodes=nodes,
        constants=constants,
        opset=opset,
        imports=imports,
        name=proto.graph.name or "network",
    ).only_live()
    _refuse_control_flow(graph)
    if not input_names(proto, output):
        raise UnsupportedModelError(f"The output {output!r} does not depend on any input.")
    read = {name for node in graph.nodes for name in node.inputs} | {output}
    infos = {info.name: info for info in proto.graph.input if info.name in read - set(constants)}
    dims = {name: _dimensions(info, input_shape) for name, info in infos.items()}
    _refuse_open_sizes(dims)
    for name, (_, *shape) in dims.items():
        graph.inputs[name] = tuple(size for size in shape if size is not None)
    types = {name: info.type.tensor_type.elem_type for name, info in infos.items()}
    return graph, types, _common_batch({name: sizes[0] for name, sizes in dims.items()})


def _common_batch(sizes: Mapping[str, int | None]) -> int | None:
    fixed = {name: size for name, size in sizes.items() if size is not None}
    if len(set(fixed.values())) > 1:
        found = ", ".join(f"{size} in {name!r}" for name, size in fixed.items())
        raise UnsupportedModelError(
            f"The first axis of the inputs is the batch, but its size differs: {found}. Export "
            "the model with a batch axis in every input."
        )
    return next(iter(fixed.values()), None)


def _refuse_control_flow(graph: Graph) -> None:
    controls = {
        node.name: Problem(
            node=node.name,
            operator=node.operator,
            reason="control flow has no spiking form.",
            advice="Export without branches.",
        )
        for node in graph.nodes
        if node.branches
    }
    if controls:
        found = {item.node: item for item in unknown(graph, independent(graph))} | controls
        problems = [found[node.name] for node in graph.nodes if node.name in found]
        raise UnsupportedModelError("The model cannot be converted.", problems)


def _opsets(proto: onnx.ModelProto) -> tuple[int, dict[str, int]]:
    versions = {item.domain: item.version for item in proto.opset_import}
    standard = versions.pop("", versions.pop("ai.onnx", 1))
    return standard, versions


def _nodes(graph: onnx.GraphProto, constants: dict[str, np.ndarray]) -> list[Node]:
    """Convert nodes; move ``Constant`` nodes into the constants; give every node its own name."""
    nodes: list[Node] = []
    names: set[str] = set()
    for index, proto in enumerate(graph.node):
        attributes = {item.name: _attribute(item) for item in proto.attribute}
        if proto.op_type == "Constant" and not proto.domain:
            constants[proto.output[0]] = _constant(attributes)
            continue
        label = proto.name
        if not label or label in names:
            label = f"{proto.op_type}#{index}({next(iter(proto.output), '')})"
        names.add(label)
        nodes.append(
            Node(
                op=proto.op_type,
                inputs=tuple(proto.input),
                outputs=tuple(proto.output),
                attributes=attributes,
                name=label,
                domain="" if proto.domain == "ai.onnx" else proto.domain,
            )
        )
    return nodes


def _attribute(item: onnx.AttributeProto) -> Any:
    value = helper.get_attribute_value(item)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


def _constant(attributes: dict[str, Any]) -> np.ndarray:
    ((kind, value),) = attributes.items()
    if kind == "value":
        return np.asarray(numpy_helper.to_array(value))
    dtype = {"value_int": np.int64, "value_ints": np.int64, "value_float": np.float32}
    return np.asarray(value, dtype=dtype.get(kind, np.float32 if kind == "value_floats" else None))


def _dimensions(info: onnx.ValueInfoProto, input_shape: InputShape | None) -> list[int | None]:
    """Return the sizes of an input's axes, batch first; None for one that is open."""
    given = input_shape.get(info.name) if isinstance(input_shape, Mapping) else input_shape
    dims = [dim.dim_value or None for dim in info.type.tensor_type.shape.dim]
    if not dims and given is not None:
        dims = [None, *given]
    if len(dims) < 2:
        raise UnsupportedModelError(
            f"Input {info.name!r} has shape {dims}: a batch axis followed by at least one axis of "
            "features is needed. Export the model with a batch axis."
        )
    if given is not None and len(given) == len(dims) - 1:
        dims[1:] = [known or int(size) for known, size in zip(dims[1:], given, strict=True)]
    return dims


def _refuse_open_sizes(dims: Mapping[str, Sequence[int | None]]) -> None:
    problems = [
        Problem(
            node=name,
            operator="input",
            reason=f"its shape is {['?' if size is None else size for size in sizes]}, where "
            "only the first axis, the batch, may be open.",
            advice="Give calibration data, whose shape is then taken, or export the model "
            "with a fixed input size.",
        )
        for name, sizes in dims.items()
        if None in sizes[1:]
    ]
    if problems:
        raise UnsupportedModelError("The size of the input is open.", problems)
