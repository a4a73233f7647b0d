"""A model as a Graph in its own operators."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2genn.errors import DataError, Problem, UnsupportedModelError
from onnx2genn.frontend.control_flow import refuse_control_flow, settled
from onnx2genn.frontend.file import InputShape
from onnx2genn.frontend.input_values import FIX_INPUT
from onnx2genn.frontend.passes.recurrent.layout import time_first_inputs
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.preprocessing import layout_of

_LONGEST_REASON = 300
_MOST_ELEMENTS = 2**28
_MATRIX = 2
_TYPES = ("to", "output_dtype")  # attributes that name an element type
_KNOWN = onnx.TensorProto.DataType.values()
_NOT_RUN = {"float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"}


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
    try:
        proto = settled(proto, output, input_shape)
        constants = {item.name: numpy_helper.to_array(item) for item in proto.graph.initializer}
        nodes = _nodes(proto.graph, constants)
    except (AttributeError, KeyError, LookupError, TypeError, ValueError) as error:
        raise UnsupportedModelError(_fault(proto, error)) from error
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
    read = {name for node in graph.nodes for name in node.inputs} | {output}
    infos = {info.name: info for info in proto.graph.input if info.name in read - set(constants)}
    if not infos:
        raise UnsupportedModelError(f"The output {output!r} does not depend on any input.")
    time_first = {
        name
        for name in time_first_inputs(graph.nodes) & infos.keys()
        if len(infos[name].type.tensor_type.shape.dim) > _MATRIX
    }
    _require_inputs(infos, input_shape)
    dims = {
        name: _dimensions(info, input_shape, batch_axis=int(name in time_first))
        for name, info in infos.items()
    }
    _refuse_open_sizes(dims)
    for name, (_, *shape) in dims.items():
        graph.inputs[name] = tuple(size for size in shape if size is not None)
    refuse_control_flow(graph, sum(info.name not in constants for info in proto.graph.input))
    types = {name: _element_type(info) for name, info in infos.items()}
    _refuse_floats(graph)
    graph = _with_batch_first(graph, time_first)
    return graph, types, _common_batch({name: sizes[0] for name, sizes in dims.items()})


def _fault(proto: onnx.ModelProto, error: Exception) -> str:
    """Say what is wrong with a model that cannot be read, in onnx's own words where it has some."""
    reason = str(error)
    try:
        onnx.checker.check_model(proto)
    except (onnx.checker.ValidationError, ValueError) as found:
        reason = str(found)
    return (
        f"The model is damaged: {' '.join(reason.split())[:_LONGEST_REASON]}. Export it again; "
        "onnx.checker.check_model has to accept it."
    )


def _element_type(info: onnx.ValueInfoProto) -> int:
    kind = info.type.tensor_type.elem_type
    with suppress(KeyError):
        if helper.tensor_dtype_to_np_dtype(kind).kind in "fiub":
            return kind
    raise UnsupportedModelError(
        f"Input {info.name!r} is no tensor of numbers (its element type is {kind}). Export the "
        "model with float inputs."
    )


def _common_batch(sizes: Mapping[str, int | None]) -> int | None:
    fixed = {name: size for name, size in sizes.items() if size is not None}
    if len(set(fixed.values())) > 1:
        found = ", ".join(f"{size} in {name!r}" for name, size in fixed.items())
        raise UnsupportedModelError(
            f"The first axis of the inputs is the batch, but its size differs: {found}. "
            f"{FIX_INPUT} Else export the model with a batch axis in every input."
        )
    return next(iter(fixed.values()), None)


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
        name = label(proto, index, names)
        names.add(name)
        nodes.append(
            Node(
                op=proto.op_type,
                inputs=tuple(proto.input),
                outputs=tuple(proto.output),
                attributes=attributes,
                name=name,
                domain="" if proto.domain == "ai.onnx" else proto.domain,
            )
        )
    return nodes


def label(node: onnx.NodeProto, index: int, taken: Collection[str] = ()) -> str:
    """Return what a node is called: its name or, without one of its own, its place and output.

    Args:
        node: The node.
        index: Its place in the file.
        taken: Names of other nodes.
    """
    if node.name and node.name not in taken:
        return node.name
    return f"{node.op_type}#{index}({next(iter(node.output), '')})"


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


def _with_batch_first(graph: Graph, time_first: set[str]) -> Graph:
    """Transpose inputs that have the batch as their second axis: samples come first here."""
    builder = Builder("batch_first", graph.names)
    names = {}
    for name in sorted(time_first):
        rank = len(graph.inputs[name]) + 1
        names[name] = builder.emit("Transpose", name, perm=[1, 0, *range(2, rank)])
    nodes = [*builder.nodes, *(node.renamed(names) for node in graph.nodes)]
    return graph.rewritten(nodes) if names else graph


def _dimensions(
    info: onnx.ValueInfoProto, input_shape: InputShape | None, batch_axis: int
) -> list[int | None]:
    """Return the sizes of an input's axes, batch first; None for one that is open."""
    given = input_shape.get(info.name) if isinstance(input_shape, Mapping) else input_shape
    sizes = [
        dim.dim_value if dim.HasField("dim_value") else None
        for dim in info.type.tensor_type.shape.dim
    ]
    if 0 in sizes:
        raise UnsupportedModelError(
            f"Input {info.name!r} has shape {sizes}, which holds nothing: an axis has size 0. "
            "Export the model with a sample of the right shape."
        )
    # Some exporters write -1 for an axis that is open.
    dims = [size if size is not None and size > 0 else None for size in sizes]
    if len(dims) > batch_axis:
        dims.insert(0, dims.pop(batch_axis))
    if not dims and given is not None:
        dims = [None, *given]
    if not dims:
        raise UnsupportedModelError(
            f"Input {info.name!r} has no axis, or does not say which: the first one has to be the "
            f"batch. If it has others, too, say which: --input-shape {info.name}=SIZE,..., "
            f"input_shape={{{info.name!r}: (...)}}. {FIX_INPUT}"
        )
    if given is not None:
        dims[1:] = _completed(info.name, dims[1:], given)
    if np.prod([size or 1 for size in dims[1:]], dtype=float) > _MOST_ELEMENTS:
        raise UnsupportedModelError(
            f"Input {info.name!r} has shape {dims}: a sample of more than {_MOST_ELEMENTS:,} "
            "elements. Use a smaller one."
        )
    return dims


def _require_inputs(infos: Mapping[str, Any], input_shape: InputShape | None) -> None:
    absent = set(input_shape) - infos.keys() if isinstance(input_shape, Mapping) else set()
    if absent:
        raise UnsupportedModelError(
            f"There is a shape for {min(absent)!r}, which is no input of this output; its inputs "
            f"are {', '.join(infos)}."
        )


def _completed(
    name: str, sizes: Sequence[int | None], given: Sequence[int]
) -> Sequence[int | None]:
    """Fill the open sizes of a sample."""
    fits = len(sizes) == len(given) and all(
        known in (None, size) for known, size in zip(sizes, given, strict=True)
    )
    if not fits:
        known = [size or "?" for size in sizes]
        layout = layout_of(given, sizes)
        hint = "The first axis of the input is the batch, and no part of a sample."
        if layout is not None:
            hint = (
                f"If these have their channels elsewhere, say so: --layout {layout}, "
                f"preprocessing=Preprocessing(layout={layout!r})."
            )
        raise DataError(f"Samples of input {name!r} have shape {known}, not {list(given)}. {hint}")
    return [int(size) for size in given]


def _refuse_floats(graph: Graph) -> None:
    """Refuse what computes in floats of a few bits that onnxruntime does not hand out."""
    problems = []
    for node in graph.nodes:
        named = [node.attributes[name] for name in _TYPES if node.attributes.get(name)]
        kinds = {str(helper.tensor_dtype_to_np_dtype(kind)) for kind in named if kind in _KNOWN}
        kinds |= {
            str(graph.constants[name].dtype) for name in node.inputs if name in graph.constants
        }
        if small := sorted(kinds & _NOT_RUN):
            problems.append(
                Problem(
                    node=node.name,
                    operator=node.operator,
                    reason=f"it computes in {small[0]}, of which onnxruntime gives no arrays.",
                    advice="Quantise to int8 or float8_e4m3fn, or export the model in float32.",
                )
            )
    if problems:
        raise UnsupportedModelError("The model cannot be converted.", problems)


def _refuse_open_sizes(dims: Mapping[str, Sequence[int | None]]) -> None:
    problems = [
        Problem(
            node=name,
            operator="input",
            reason=f"its shape is {['?' if size is None else size for size in sizes]}, where "
            "only the first axis, the batch, may be open.",
            advice="Give calibration data, whose shape is then taken, or the sizes of one sample: "
            f"--input-shape {name}=SIZE,..., input_shape={{{name!r}: (...)}}."
            + (f" {FIX_INPUT}" if len(dims) > 1 else ""),
        )
        for name, sizes in dims.items()
        if None in sizes[1:]
    ]
    if problems:
        raise UnsupportedModelError("The size of the input is open.", problems)
