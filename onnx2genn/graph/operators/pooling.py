"""Average pooling and means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnx2genn.graph.operators.windows import explicit_pads
from onnx2genn.graph.rewrite import Refusal, Rewrite, operator


@operator("AveragePool")
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
    """Mean over windows, with every attribute written out."""
    kernel = list(kernel_shape)
    strides = list(strides or [1] * len(kernel))
    dilations = list(dilations or [1] * len(kernel))
    return rewrite.emit(
        "AveragePool",
        x,
        kernel_shape=kernel,
        strides=strides,
        dilations=dilations,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        pads=explicit_pads(auto_pad, pads, rewrite.shape(x)[1:], kernel, strides, dilations),
    )


@operator("GlobalAveragePool")
def global_average_pool(rewrite: Rewrite, x: str) -> str:
    """Mean over all spatial axes."""
    axes = np.arange(2, len(rewrite.shape(x)) + 1)
    return rewrite.emit("ReduceMean", x, axes, keepdims=1)


def _reduce(
    rewrite: Rewrite,
    op: str,
    x: str,
    axes_input: str | None,
    axes: Sequence[int] | None,
    keepdims: int,
    noop_with_empty_axes: int,
) -> str:
    """Write a mean or a sum with positive axes; before opset 18 they are an attribute."""
    rank = len(rewrite.shape(x)) + 1
    if axes_input is not None:
        axes = rewrite.constant(axes_input, "axes").tolist()
    if not axes and noop_with_empty_axes:
        return x
    positive = sorted({int(axis) % rank for axis in axes or range(rank)})
    if 0 in positive:
        raise Refusal("it reduces over the batch axis.", "Keep samples apart.")
    return rewrite.emit(op, x, np.array(positive, np.int64), keepdims=keepdims)


@operator("ReduceMean", restrictions="not over the batch axis")
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
    return _reduce(rewrite, "ReduceMean", x, axes_input, axes, keepdims, noop_with_empty_axes)


@operator("ReduceSum", restrictions="not over the batch axis")
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
    return _reduce(rewrite, "ReduceSum", x, axes_input, axes, keepdims, noop_with_empty_axes)
