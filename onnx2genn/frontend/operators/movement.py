"""Operators that only move data, and those that do nothing at inference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto, helper

from onnx2genn.frontend.operators.elementwise import aligned
from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.registry import entry_of, operator

_MOVES = "data movement"
# Exporters write the largest int32 or int64 for the end of an open slice.
_OPEN_END = 10**6  # more samples than are ever computed at once


def _reshape(rewrite: Rewrite, x: str) -> str:
    """Write any change of shape that keeps the order of elements; the probe knows the result."""
    if rewrite.output_shape == rewrite.shape(x):
        return x
    return rewrite.emit("Reshape", x, np.array([0, *rewrite.output_shape], np.int64))


@operator("Reshape", kind=_MOVES, selects=True)
def reshape(rewrite: Rewrite, x: str, shape: str | None = None, *, allowzero: int = 0) -> str:
    """New shape, equal order."""
    return _reshape(rewrite, x)


@operator("Flatten", kind=_MOVES, selects=True)
def flatten(rewrite: Rewrite, x: str, *, axis: int = 1) -> str:
    """Matrix of one row per sample."""
    return _reshape(rewrite, x)


@operator("Squeeze", kind=_MOVES, selects=True)
def squeeze(
    rewrite: Rewrite, x: str, axes_input: str | None = None, *, axes: Sequence[int] | None = None
) -> str:
    """Drop axes of size 1."""
    return _reshape(rewrite, x)


@operator("Unsqueeze", kind=_MOVES, selects=True)
def unsqueeze(
    rewrite: Rewrite, x: str, axes_input: str | None = None, *, axes: Sequence[int] | None = None
) -> str:
    """Add axes of size 1."""
    return _reshape(rewrite, x)


@operator("Transpose", kind=_MOVES, selects=True, restrictions="batch axis stays first")
def transpose(rewrite: Rewrite, x: str, *, perm: Sequence[int] | None = None) -> str:
    """Permute axes."""
    rank = len(rewrite.shape(x)) + 1
    order = list(perm) if perm is not None else list(range(rank))[::-1]
    if order[0] != 0:
        raise Refusal("it moves the batch axis.", "Keep the batch first.")
    kept = [axis for axis in order[1:] if rewrite.shape(x)[axis - 1] != 1]
    if kept == sorted(kept):
        return _reshape(rewrite, x)
    return rewrite.emit("Transpose", x, perm=order)


def kept_axis(rewrite: Rewrite, x: str, axis: int) -> int:
    """Make an axis positive and refuse the batch axis."""
    positive = axis % (len(rewrite.shape(x)) + 1)
    if positive == 0:
        raise Refusal("it works along the batch axis.", "Keep samples apart.")
    return positive


@operator("Concat", kind=_MOVES)
def concat(rewrite: Rewrite, *inputs: str, axis: int) -> str:
    """Join along one axis; constant parts are repeated for each sample by an addition to zero."""
    variable = next(name for name in inputs if not rewrite.is_constant(name))
    positive = kept_axis(rewrite, variable, axis)
    if any(rewrite.is_constant(name) for name in inputs):
        return _concat_constants(rewrite, inputs, variable, positive)
    return rewrite.emit("Concat", *inputs, axis=positive)


def _concat_constants(rewrite: Rewrite, inputs: Sequence[str], variable: str, axis: int) -> str:
    """Pad each variable part to the full size and add; the constants come in by one addition."""
    total = None
    offset = 0
    fixed = np.zeros((1, *rewrite.output_shape), np.float32)
    width = rewrite.output_shape[axis - 1]
    for name in inputs:
        if rewrite.is_constant(name):
            part = aligned(rewrite, name, variable)
            size = part.shape[axis]
            at = [slice(None)] * fixed.ndim
            at[axis] = slice(offset, offset + size)
            fixed[tuple(at)] = part
        else:
            size = rewrite.shape(name)[axis - 1]
            pads = np.zeros((2, fixed.ndim), np.int64)
            pads[:, axis] = offset, width - offset - size
            padded = rewrite.emit("Pad", name, pads.ravel())
            total = padded if total is None else rewrite.emit("Add", total, padded)
        offset += size
    return rewrite.emit("Add", total or variable, fixed)


@operator("Slice", kind=_MOVES, selects=True, restrictions="constant bounds")
def slice_(
    rewrite: Rewrite,
    x: str,
    starts_input: str | None = None,
    ends_input: str | None = None,
    axes_input: str | None = None,
    steps_input: str | None = None,
    *,
    starts: Sequence[int] | None = None,
    ends: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
) -> str:
    """Cut along axes; before opset 10 the bounds are attributes."""
    if starts_input is not None and ends_input is not None:
        starts = rewrite.constant(starts_input, "starts").tolist()
        ends = rewrite.constant(ends_input, "ends").tolist()
    if axes_input is not None:
        axes = rewrite.constant(axes_input, "axes").tolist()
    count = len(starts or [])
    steps = [1] * count
    if steps_input is not None:
        steps = rewrite.constant(steps_input, "steps").tolist()
    rank = len(rewrite.shape(x)) + 1
    cuts = list(zip(starts or [], ends or [], axes or range(count), steps, strict=True))
    cuts = [cut for cut in cuts if not _is_whole_batch(*cut, rank)]
    if not cuts:
        return x
    for cut in cuts:
        kept_axis(rewrite, x, cut[2])
    first, last, along, every = np.array(cuts, np.int64).T
    return rewrite.emit("Slice", x, first, last, along % rank, every)


def _is_whole_batch(start: int, end: int, axis: int, step: int, rank: int) -> bool:
    """Whether a cut of the batch axis leaves it whole, as x[:, 2:] may be written."""
    return axis % rank == 0 and start == 0 and end >= _OPEN_END and step == 1


@operator("Split", kind=_MOVES)
def split(
    rewrite: Rewrite,
    x: str,
    split_input: str | None = None,
    *,
    axis: int = 0,
    split: Sequence[int] | None = None,
    num_outputs: int | None = None,
) -> list[str]:
    """Several slices along one axis, of the sizes that the probe saw."""
    positive = kept_axis(rewrite, x, axis)
    parts, start = [], 0
    for name in rewrite.node.outputs:
        end = start + rewrite.shape(name)[positive - 1]
        bounds = [np.array([value], np.int64) for value in (start, end, positive, 1)]
        parts.append(rewrite.emit("Slice", x, *bounds))
        start = end
    return parts


@operator("Pad", kind=_MOVES, restrictions="constant or edge or reflect mode")
def pad(
    rewrite: Rewrite,
    x: str,
    pads_input: str | None = None,
    value_input: str | None = None,
    axes_input: str | None = None,
    *,
    mode: str = "constant",
    pads: Sequence[int] | None = None,
    value: float = 0.0,
) -> str:
    """Add a border; one of a constant other than zero is an addition after a border of zeros."""
    rank = len(rewrite.shape(x)) + 1
    if pads_input is not None:
        pads = rewrite.constant(pads_input, "pads").tolist()
    if value_input is not None:
        value = float(rewrite.constant(value_input, "value").reshape(-1)[0])
    full = np.zeros((2, rank), np.int64)
    axes = range(rank) if axes_input is None else rewrite.constant(axes_input, "axes").tolist()
    full[:, [int(axis) % rank for axis in axes]] = np.reshape(pads or [], (2, -1))
    if full[:, 0].any():
        raise Refusal("it pads the batch axis.", "Keep samples apart.")
    padded = rewrite.emit("Pad", x, full.ravel(), mode=mode)
    if mode != "constant" or value == 0.0:
        return padded
    kept = np.zeros((1, *rewrite.shape(x)), np.float32)
    sides = zip(kept.shape, *full, strict=True)
    kept = kept[tuple(slice(max(0, -a), size - max(0, -b)) for size, a, b in sides)]
    border = np.pad(kept, np.maximum(full.T, 0), constant_values=value)
    return rewrite.emit("Add", padded, border)


@operator("Expand", kind=_MOVES, selects=True)
def expand(rewrite: Rewrite, x: str, shape: str) -> str:
    """Repeat along axes of size 1, never along the batch."""
    target = np.array([1, *rewrite.output_shape], np.int64)
    if len(target) != len(rewrite.shape(x)) + 1:
        raise Refusal("it adds axes before the batch.", "Keep the batch first.")
    if rewrite.output_shape == rewrite.shape(x):
        return x
    return rewrite.emit("Expand", x, target)


@operator("Identity", kind=_MOVES, selects=True, elementwise=True, ends=True, expression="{x}")
def identity(rewrite: Rewrite, x: str) -> str:
    """Nothing."""
    return x


@operator("Dropout", kind=_MOVES, restrictions="inference mode", elementwise=True)
def dropout(
    rewrite: Rewrite,
    x: str,
    ratio_input: str | None = None,
    training_input: str | None = None,
    *,
    ratio: float = 0.5,
    seed: int = 0,
) -> str:
    """Nothing at inference."""
    if training_input is not None and bool(rewrite.constant(training_input, "training_mode")):
        raise Refusal("it is in training mode.", "Export the model in evaluation mode.")
    return x


_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
_WHOLE = (TensorProto.INT32, TensorProto.INT64)


@operator("Cast", kind=_MOVES, restrictions="to floats, or between whole numbers", elementwise=True)
def cast(rewrite: Rewrite, x: str, *, to: int, saturate: int = 1, round_mode: str = "up") -> str:
    """Nothing: everything is computed in float32. A condition becomes 0 or 1."""
    before = rewrite.producer(x)
    if before is not None and entry_of(before).kind == "condition":
        return rewrite.emit("Where", x, np.float32(1), np.float32(0))
    if to in _FLOATS or (to in _WHOLE and rewrite.is_whole(x)):
        return x
    kind = TensorProto.DataType.Name(to).lower()
    raise Refusal(f"a cast to {kind} rounds.", "Cast to float32, or round with Floor.")


@operator("CastLike", kind=_MOVES, elementwise=True)
def cast_like(
    rewrite: Rewrite, x: str, like: str, *, saturate: int = 1, round_mode: str = "up"
) -> str:
    """A cast to the type of another tensor."""
    return cast(rewrite, x, to=helper.np_dtype_to_tensor_dtype(rewrite.type(like)))
