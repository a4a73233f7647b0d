"""Inputs with one value for all samples, as a rate or a first state: constants of the model."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from onnx2genn.errors import DataError, UnsupportedModelError

InputValues = Mapping[str, npt.ArrayLike]
"""Numbers and arrays, or ``"zeros"`` and ``"ones"``, by the names of inputs."""

FIX_INPUT = (
    "An input that has one value for all samples, as a rate or a first state, can be given it: "
    "--input-value NAME=VALUE, input_values={NAME: VALUE}."
)
FILLS = {"zeros": 0, "ones": 1}
_EXPAND = 8  # the first opset that has it
_MOST_SHOWN = 8

Dims = list[int | str]  # a size, or the name of an open one, "?" without a name
Places = Mapping[str, tuple[str, int]]  # the input and the axis that an open size is read from


def with_values(
    proto: onnx.ModelProto, values: InputValues | None
) -> tuple[onnx.ModelProto, list[str]]:
    """Let inputs be constants.

    An axis of size 1 that the file names as it names an axis of an input that is left, as
    ``batch``, is repeated to the length of that.

    Args:
        proto: The model, functions inlined; it stays as it is.
        values: Values by the names of inputs. A single number is meant for all elements.

    Returns:
        The model, and a sentence on each value.

    Raises:
        UnsupportedModelError: There is no such input, or none would be left.
        DataError: A value has another shape than the input, or none that its type can hold.
    """
    if not values:
        return proto, []
    _require_inputs(proto, values)
    found = onnx.ModelProto()
    found.CopyFrom(proto)
    for old in [item for item in found.graph.initializer if item.name in values]:
        found.graph.initializer.remove(old)
    given = [info for info in found.graph.input if info.name in values]
    for info in given:
        found.graph.input.remove(info)
    places = _places(found)
    nodes, notes = [], []
    for info in given:
        value = _fitting(info, values[info.name], places)
        notes.append(f"The input {info.name!r} has the value {_shown(value)} for all samples.")
        axes = _repeated(found, info, value, places)
        name = f"{info.name}/value" if axes else info.name
        found.graph.initializer.append(numpy_helper.from_array(value, name))
        nodes += _expansion(name, info.name, value.ndim, axes) if axes else []
    rest = [*nodes, *found.graph.node]
    del found.graph.node[:]
    found.graph.node.extend(rest)
    return found, notes


def _require_inputs(proto: onnx.ModelProto, names: Collection[str]) -> None:
    inputs = [info.name for info in proto.graph.input]
    for name in names:
        if name not in inputs:
            raise UnsupportedModelError(
                f"There is a value for {name!r}, which is no input of the model; its inputs are "
                f"{', '.join(inputs)}."
            )
    if set(inputs) <= {*names, *(item.name for item in proto.graph.initializer)}:
        raise UnsupportedModelError(
            f"With values for {', '.join(names)} no input is left for samples: leave one out of "
            "--input-value, input_values=."
        )


def _dims(info: onnx.ValueInfoProto) -> Dims | None:
    """Return the sizes of an input; None if the file does not say how many axes it has."""
    kind = info.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return [
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else dim.dim_param or "?"
        for dim in kind.shape.dim
    ]


def _places(proto: onnx.ModelProto) -> dict[str, tuple[str, int]]:
    """Say where the open sizes of inputs are found, by their names."""
    fixed = {item.name for item in proto.graph.initializer}
    found: dict[str, tuple[str, int]] = {}
    for info in proto.graph.input:
        dims = (_dims(info) or []) if info.name not in fixed else []
        for axis, size in enumerate(dims):
            if isinstance(size, str) and size != "?" and dims.count(size) == 1:
                found.setdefault(size, (info.name, axis))
    return found


def _fitting(info: onnx.ValueInfoProto, given: npt.ArrayLike, places: Places) -> np.ndarray:
    """Return a value as an array of the input's type and shape."""
    if isinstance(given, str):
        if given not in FILLS:
            raise DataError(f"The value of input {info.name!r} is {given!r}, and no number.")
        given = FILLS[given]
    try:
        value = np.asarray(given)
    except ValueError as error:
        raise DataError(f"The value of input {info.name!r} is no array: {error}.") from error
    value = _typed(info, value)
    dims = _dims(info)
    if dims is None:
        return value
    if value.ndim == 0:
        return np.full(_filled(info.name, dims, places), value)
    pairs = zip(dims, value.shape, strict=False)
    if len(dims) != value.ndim or not all(_may_be(size, dim, places) for dim, size in pairs):
        raise DataError(
            f"The value of input {info.name!r} has shape {list(value.shape)}, and the model takes "
            f"{_sizes(dims)}. It is one value for all samples: the batch is an axis of size 1."
        )
    return value


def _may_be(size: int, dim: int | str, places: Places) -> bool:
    """Whether a value may have such an axis: one value is for all samples."""
    if isinstance(dim, int):
        return size == dim
    return size == 1 or dim not in places or places[dim][1] > 0


def _filled(name: str, dims: Dims, places: Places) -> list[int]:
    """Return the shape in which one number stands for all elements: 1 for what is repeated."""
    unknown = [size for size in dims if isinstance(size, str) and size not in places]
    if len(unknown) > 1:
        raise DataError(
            f"Input {name!r} has shape {_sizes(dims)}, where several sizes are open: give an array "
            "of the right shape instead of one number."
        )
    return [size if isinstance(size, int) else 1 for size in dims]


def _typed(info: onnx.ValueInfoProto, value: np.ndarray) -> np.ndarray:
    """Return a value in the type of its input, where that can hold it."""
    try:
        dtype = helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
    except KeyError:
        dtype = np.dtype(object)
    if dtype.kind not in "fiub":
        raise UnsupportedModelError(
            f"Input {info.name!r} is no tensor of numbers: it can have no value."
        )
    if value.dtype.kind not in "fiub" or not value.size or np.isnan(value).any():
        raise DataError(f"The value of input {info.name!r} holds what is no number, or nothing.")
    with np.errstate(all="ignore"):
        found = value.astype(dtype)
    if not _holds(found, value):
        raise DataError(
            f"The value of input {info.name!r}, {_shown(value)}, is none of the type {dtype} that "
            "the model takes there."
        )
    return found


def _holds(found: np.ndarray, value: np.ndarray) -> bool:
    """Whether a type holds values: floats may be rounded, whole numbers may not."""
    if found.dtype.kind == value.dtype.kind == "f":
        return bool((np.isfinite(found) == np.isfinite(value)).all())
    if found.dtype.kind in "iu":
        limits = np.iinfo(found.dtype)
        if not limits.min <= value.min() <= value.max() <= limits.max:
            return False
    with np.errstate(all="ignore"):
        return bool((found.astype(value.dtype) == value).all())


def _repeated(
    proto: onnx.ModelProto, info: onnx.ValueInfoProto, value: np.ndarray, places: Places
) -> dict[int, tuple[str, int]]:
    """Return the axes to repeat a value along, each with the place that has the length."""
    versions = [item.version for item in proto.opset_import if item.domain in ("", "ai.onnx")]
    if max(versions, default=1) < _EXPAND:
        return {}
    return {
        axis: places[size]
        for axis, size in enumerate(_dims(info) or [])
        if isinstance(size, str) and size in places and value.shape[axis] == 1
    }


def _expansion(
    source: str, name: str, rank: int, axes: Mapping[int, tuple[str, int]]
) -> list[onnx.NodeProto]:
    """Write nodes that repeat a value."""
    made = helper.make_node
    one = numpy_helper.from_array(np.ones(1, np.int64))
    nodes = [made("Constant", [], [f"{name}/once"], value=one)]
    sizes = [f"{name}/once"] * rank
    for axis, (other, place) in axes.items():
        index, shape, sizes[axis] = (f"{name}/{word}_{axis}" for word in ("place", "shape", "size"))
        where = numpy_helper.from_array(np.array([place], np.int64))
        nodes += [
            made("Constant", [], [index], value=where),
            made("Shape", [other], [shape], name=shape),
            made("Gather", [shape, index], [sizes[axis]], axis=0, name=sizes[axis]),
        ]
    target = f"{name}/shape"
    nodes.append(made("Concat", sizes, [target], axis=0, name=target))
    nodes.append(made("Expand", [source, target], [name], name=f"{name}/repeated"))
    return nodes


def _sizes(dims: Sequence[int | str]) -> str:
    return f"[{', '.join(map(str, dims))}]"


def _shown(value: np.ndarray) -> str:
    if value.size <= _MOST_SHOWN:
        return str(value.tolist())
    if (value == value.flat[0]).all():
        return f"{value.flat[0]} in shape {list(value.shape)}"
    return f"given, of shape {list(value.shape)},"
