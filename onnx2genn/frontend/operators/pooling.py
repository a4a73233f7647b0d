"""Pooling and reductions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnx2genn.frontend.operators.elementwise import DROPS_THE_REST
from onnx2genn.frontend.operators.windows import explicit_pads
from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.registry import operator


@operator("AveragePool", homogeneous=True, bounded=True)
def average_pool(
    rewrite: Rewrite,
    x: str,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> str:
    """Mean over windows, with every attribute written out.

    Unequal pads that count become a border of zeros of their own: onnxruntime 1.23 divides by a
    wrong number of elements there, from opset 19 on.
    """
    window = _window(rewrite, x, kernel_shape, auto_pad, ceil_mode, dilations, pads, strides)
    begins, ends = np.reshape(window["pads"], (2, -1)).tolist()
    if count_include_pad and begins != ends:
        if window["ceil_mode"]:
            raise Refusal(
                "its unequal pads count, and with ceil_mode=1 windows begin in them.",
                "Write the border with Pad before it.",
            )
        x = rewrite.emit("Pad", x, np.array([0, 0, *begins, 0, 0, *ends], np.int64))
        window["pads"] = [0] * len(window["pads"])
    return rewrite.emit("AveragePool", x, count_include_pad=count_include_pad, **window)


@operator("MaxPool", kind="population", restrictions="no indices", bounded=True)
def max_pool(
    rewrite: Rewrite,
    x: str,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
) -> str:
    """Maximum over windows, with every attribute written out."""
    window = _window(rewrite, x, kernel_shape, auto_pad, ceil_mode, dilations, pads, strides)
    return rewrite.emit("MaxPool", x, **window)


def _window(
    rewrite: Rewrite,
    x: str,
    kernel_shape: Sequence[int],
    auto_pad: str,
    ceil_mode: int,
    dilations: Sequence[int] | None,
    pads: Sequence[int] | None,
    strides: Sequence[int] | None,
) -> dict[str, Any]:
    """Write the attributes of a window out; those that pad it to the same size round up already."""
    kernel, sizes = list(kernel_shape), rewrite.shape(x)[1:]
    strides = list(strides or [1] * len(kernel))
    dilations = list(dilations or [1] * len(kernel))
    same = auto_pad.startswith("SAME")
    rounded = tuple(-(-size // stride) for size, stride in zip(sizes, strides, strict=True))
    # The windows leave something out at the end, which a negative pad would have to.
    narrow = any(
        (count - 1) * stride + width < size
        for count, stride, width, size in zip(rounded, strides, kernel, sizes, strict=True)
    )
    if same and (narrow or rewrite.output_shape[1:] != rounded):
        raise Refusal(
            f"onnxruntime does not do what auto_pad={auto_pad} says where windows are dilated or "
            "narrower than their strides.",
            "Write its pads out.",
        )
    return {
        "kernel_shape": kernel,
        "strides": strides,
        "dilations": dilations,
        "ceil_mode": 0 if same else ceil_mode,
        "pads": explicit_pads(auto_pad, pads, sizes, kernel, strides, dilations),
    }


@operator("GlobalMaxPool", kind="population", bounded=True)
def global_max_pool(rewrite: Rewrite, x: str) -> str:
    """Maximum over all spatial axes, as one window."""
    return _maximum(rewrite, x, rewrite.shape(x)[1:])


def _maximum(rewrite: Rewrite, x: str, window: Sequence[int]) -> str:
    ones = [1] * len(window)
    return rewrite.emit(
        "MaxPool",
        x,
        kernel_shape=list(window),
        strides=ones,
        dilations=ones,
        ceil_mode=0,
        pads=[0] * (2 * len(window)),
    )


@operator("ReduceMax", kind="population", restrictions="not over the batch axis", bounded=True)
def reduce_max(
    rewrite: Rewrite,
    x: str,
    axes_input: str | None = None,
    *,
    axes: Sequence[int] | None = None,
    keepdims: int = 1,
    noop_with_empty_axes: int = 0,
) -> str:
    """Maximum over axes."""
    reduced = reduced_axes(rewrite, x, axes_input, axes, noop_with_empty_axes)
    return largest(rewrite, x, rewrite.shape(x), reduced, rewrite.output_shape) if reduced else x


def largest(
    rewrite: Rewrite, x: str, shape: Sequence[int], reduced: Sequence[int], result: Sequence[int]
) -> str:
    """Write the maximum over axes, as one window along all of them.

    Args:
        rewrite: Where to write.
        x: Tensor.
        shape: Its shape without the batch axis.
        reduced: Axes, the batch being axis 0.
        result: Shape of the maximum without the batch axis.
    """
    if all(shape[axis - 1] == 1 for axis in reduced):
        return rewrite.emit("Reshape", x, np.array([0, *result], np.int64))
    kept = [axis for axis in range(1, len(shape) + 1) if axis not in reduced]
    turned = rewrite.emit("Transpose", x, perm=[0, *kept, *reduced])
    width = int(np.prod([shape[axis - 1] for axis in reduced]))
    rows = rewrite.emit("Reshape", turned, np.array([0, -1, width], np.int64))
    most = _maximum(rewrite, rows, [width])
    return rewrite.emit("Reshape", most, np.array([0, *result], np.int64))


@operator("ReduceMin", kind="population", restrictions="not over the batch axis", bounded=True)
def reduce_min(
    rewrite: Rewrite,
    x: str,
    axes_input: str | None = None,
    *,
    axes: Sequence[int] | None = None,
    keepdims: int = 1,
    noop_with_empty_axes: int = 0,
) -> str:
    """-max(-x)."""
    reduced = reduced_axes(rewrite, x, axes_input, axes, noop_with_empty_axes)
    if not reduced:
        return x
    negative = rewrite.emit("Mul", x, np.float32(-1))
    most = largest(rewrite, negative, rewrite.shape(x), reduced, rewrite.output_shape)
    return rewrite.emit("Mul", most, np.float32(-1))


@operator("GlobalAveragePool", homogeneous=True, bounded=True)
def global_average_pool(rewrite: Rewrite, x: str) -> str:
    """Mean over all spatial axes."""
    axes = np.arange(2, len(rewrite.shape(x)) + 1)
    return rewrite.emit("ReduceMean", x, axes, keepdims=1)


def reduced_axes(
    rewrite: Rewrite,
    x: str,
    axes_input: str | None,
    axes: Sequence[int] | None,
    noop_with_empty_axes: int = 0,
) -> list[int]:
    """Return the positive axes of a reduction; from opset 18 on (sum: 13) they are an input."""
    rank = len(rewrite.shape(x)) + 1
    if axes_input is not None:
        axes = rewrite.constant(axes_input, "axes").tolist()
    if not axes and noop_with_empty_axes:
        return []
    positive = sorted({int(axis) % rank for axis in axes or range(rank)})
    if 0 in positive:
        raise Refusal("it reduces over the batch axis.", "Keep samples apart.")
    return positive


def _reduce(rewrite: Rewrite, op: str, x: str, axes: list[int], keepdims: int) -> str:
    if not axes:
        return x
    shape = rewrite.shape(x)
    if all(shape[axis - 1] == 1 for axis in axes):  # a head after it can be taken off
        return rewrite.emit("Reshape", x, np.array([0, *rewrite.output_shape], np.int64))
    return rewrite.emit(op, x, np.array(axes, np.int64), keepdims=keepdims)


@operator("ReduceMean", restrictions="not over the batch axis", homogeneous=True, bounded=True)
def reduce_mean(
    rewrite: Rewrite,
    x: str,
    axes_input: str | None = None,
    *,
    axes: Sequence[int] | None = None,
    keepdims: int = 1,
    noop_with_empty_axes: int = 0,
) -> str:
    """Mean over axes."""
    if rewrite.is_whole(x):
        raise Refusal(*DROPS_THE_REST)
    reduced = reduced_axes(rewrite, x, axes_input, axes, noop_with_empty_axes)
    return _reduce(rewrite, "ReduceMean", x, reduced, keepdims)


@operator("ReduceSum", restrictions="not over the batch axis", homogeneous=True)
def reduce_sum(
    rewrite: Rewrite,
    x: str,
    axes_input: str | None = None,
    *,
    axes: Sequence[int] | None = None,
    keepdims: int = 1,
    noop_with_empty_axes: int = 0,
) -> str:
    """Sum over axes."""
    reduced = reduced_axes(rewrite, x, axes_input, axes, noop_with_empty_axes)
    return _reduce(rewrite, "ReduceSum", x, reduced, keepdims)
