"""Normalisations by statistics of the sample itself, and the norms that they divide by.

Means are affine, squares and roots are functions that neurons send, and a quotient is a product
with a reciprocal. So each takes several populations, where BatchNormalization takes none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnx2genn.frontend.operators.elementwise import aligned
from onnx2genn.frontend.operators.pooling import largest, reduced_axes
from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.registry import Handler, operator

_COSTS = "several populations; not with codings that fire while they integrate (rate)"


def _mean(rewrite: Rewrite, x: str, axes: Sequence[int]) -> str:
    return rewrite.emit("ReduceMean", x, np.array(axes, np.int64), keepdims=1)


def _normalised(
    rewrite: Rewrite, x: str, axes: Sequence[int], epsilon: float, *, centred: bool = True
) -> str:
    """(x - mean) / sqrt(variance + epsilon) over axes, or x / sqrt(mean of squares + epsilon)."""
    rest = rewrite.minus(x, _mean(rewrite, x, axes)) if centred else x
    variance = _mean(rewrite, rewrite.emit("Mul", rest, rest), axes)
    shifted = rewrite.emit("Add", variance, np.float32(epsilon))
    inverse = rewrite.emit("Reciprocal", rewrite.emit("Sqrt", shifted))
    return rewrite.emit("Mul", rest, inverse)


def _scaled(rewrite: Rewrite, x: str, scale: str, bias: str, shape: Sequence[int]) -> str:
    """X scale + bias, with both in a shape that broadcasts to x."""
    result = rewrite.emit("Mul", x, rewrite.constant(scale, "scale").reshape(shape))
    return rewrite.emit("Add", result, rewrite.constant(bias, "bias").reshape(shape))


@operator("LayerNormalization", kind="population", restrictions=_COSTS)
def layer_normalization(
    rewrite: Rewrite,
    x: str,
    scale: str,
    b: str | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> str:
    """(x - mean) / sqrt(variance + epsilon) scale + b over the last axes."""
    return _layer_norm(rewrite, x, scale, b, axis, epsilon, centred=True)


@operator("RMSNormalization", kind="population", restrictions=_COSTS)
def rms_normalization(
    rewrite: Rewrite,
    x: str,
    scale: str,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> str:
    """X / sqrt(mean of squares + epsilon) scale over the last axes."""
    return _layer_norm(rewrite, x, scale, None, axis, epsilon, centred=False)


def _layer_norm(
    rewrite: Rewrite,
    x: str,
    scale: str,
    bias: str | None,
    axis: int,
    epsilon: float,
    *,
    centred: bool,
) -> str:
    rank = len(rewrite.shape(x)) + 1
    axes = range(axis % rank, rank)
    if 0 in axes:
        raise Refusal("it normalises over the batch axis.", "Keep samples apart.")
    result = _normalised(rewrite, x, axes, epsilon, centred=centred)
    result = rewrite.emit("Mul", result, aligned(rewrite, scale, x, "scale"))
    if bias is None:
        return result
    return rewrite.emit("Add", result, aligned(rewrite, bias, x, "bias"))


@operator("InstanceNormalization", kind="population", restrictions=_COSTS)
def instance_normalization(
    rewrite: Rewrite, x: str, scale: str, b: str, *, epsilon: float = 1e-5
) -> str:
    """(x - mean) / sqrt(variance + epsilon) scale + b over the spatial axes."""
    rank = len(rewrite.shape(x)) + 1
    result = _normalised(rewrite, x, range(2, rank), epsilon)
    return _scaled(rewrite, result, scale, b, [1, -1, *[1] * (rank - 2)])


@operator("GroupNormalization", kind="population", restrictions=_COSTS)
def group_normalization(
    rewrite: Rewrite,
    x: str,
    scale: str,
    bias: str,
    *,
    num_groups: int,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> str:
    """Likewise over groups of channels; before opset 21 scale and bias are one for each group."""
    channels, *spatial = rewrite.shape(x)
    groups = rewrite.emit("Reshape", x, np.array([0, num_groups, -1], np.int64))
    result = _normalised(rewrite, groups, [2], epsilon)
    if rewrite.constant(scale, "scale").size == num_groups != channels:
        result = _scaled(rewrite, result, scale, bias, [1, -1, 1])
        return rewrite.emit("Reshape", result, np.array([0, *rewrite.shape(x)], np.int64))
    result = rewrite.emit("Reshape", result, np.array([0, *rewrite.shape(x)], np.int64))
    return _scaled(rewrite, result, scale, bias, [1, -1, *[1] * len(spatial)])


@operator("MeanVarianceNormalization", kind="population", restrictions="not over the batch axis")
def mean_variance_normalization(
    rewrite: Rewrite, x: str, *, axes: Sequence[int] = (0, 2, 3)
) -> str:
    """(x - mean) / (deviation + 1e-9) over axes."""
    return _normalised(rewrite, x, reduced_axes(rewrite, x, None, axes), 1e-18)


@operator("LpNormalization", kind="population", restrictions="not over the batch axis")
def lp_normalization(rewrite: Rewrite, x: str, *, axis: int = -1, p: int = 2) -> str:
    """X divided by its norm along an axis."""
    return _divided_by_norm(rewrite, x, axis, f"ReduceL{p}")


def _divided_by_norm(rewrite: Rewrite, x: str, axis: int, norm: str) -> str:
    total = _norm(rewrite, norm, x, reduced_axes(rewrite, x, None, [axis]), keepdims=1)
    return rewrite.emit("Mul", x, rewrite.emit("Reciprocal", total))


@operator("Normalizer", kind="population", domain="ai.onnx.ml", restrictions="norm L1 or L2")
def normalizer(rewrite: Rewrite, x: str, *, norm: str = "MAX") -> str:
    """X divided by its norm, as scikit-learn's Normalizer does."""
    if norm not in ("L1", "L2"):
        raise Refusal(f"norm={norm} needs a maximum of magnitudes.", "Use norm L1 or L2.")
    producer = rewrite.producer(x)
    if norm == "L1" and producer and producer.attributes.get("post_transform") == "SOFTMAX":
        return x  # of LogisticRegression, whose probabilities add up to 1
    return _divided_by_norm(rewrite, x, -1, f"Reduce{norm}")


@operator("LRN", kind="population", restrictions=_COSTS)
def local_response_normalization(
    rewrite: Rewrite,
    x: str,
    *,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    bias: float = 1.0,
) -> str:
    """X / (bias + alpha / size * squares of neighbouring channels) ^ beta."""
    channels, *spatial = rewrite.shape(x)
    before, after = (size - 1) // 2, size // 2
    distance = np.arange(channels) - np.arange(channels)[:, None]
    near = (distance >= -before) & (distance <= after)
    ones = [1] * len(spatial)
    total = rewrite.emit(
        "Conv",
        rewrite.emit("Mul", x, x),
        (alpha / size * near).astype(np.float32).reshape(channels, channels, *ones),
        np.full(channels, bias, np.float32),
        kernel_shape=ones,
        strides=ones,
        dilations=ones,
        group=1,
        pads=[0] * (2 * len(spatial)),
    )
    return rewrite.emit("Mul", x, rewrite.emit("Pow", total, np.float32(-beta)))


def _norm(rewrite: Rewrite, op: str, x: str, axes: Sequence[int], keepdims: int) -> str:
    """Write a norm: a function of each element, their sum, and a function of the sum."""
    if op == "ReduceLogSumExp":
        return x if not axes else _log_sum_exp(rewrite, x, axes)
    inner, outer = {
        "ReduceL1": ("Abs", None),
        "ReduceL2": ("Mul", "Sqrt"),
        "ReduceLogSum": (None, "Log"),
        "ReduceSumSquare": ("Mul", None),
    }[op]
    part = x
    if inner is not None:
        part = rewrite.emit(inner, *[x] * (1 + (inner == "Mul")))
    total = part
    if axes:
        total = rewrite.emit("ReduceSum", part, np.array(axes, np.int64), keepdims=keepdims)
    return total if outer is None else rewrite.emit(outer, total)


def _log_sum_exp(rewrite: Rewrite, x: str, axes: Sequence[int]) -> str:
    """max x + log(sum(exp(x - max x))): the exponentials are in 0..1 and 1 at least once."""
    shape = rewrite.shape(x)
    kept = [1 if axis in axes else size for axis, size in enumerate(shape, start=1)]
    most = largest(rewrite, x, shape, axes, kept)
    powers = rewrite.emit("Exp", rewrite.minus(x, most))
    total = rewrite.emit("ReduceSum", powers, np.array(axes, np.int64), keepdims=1)
    result = rewrite.emit("Add", most, rewrite.emit("Log", total))
    return rewrite.emit("Reshape", result, np.array([0, *rewrite.output_shape], np.int64))


def _reduction(op: str) -> Handler:
    def handler(
        rewrite: Rewrite,
        x: str,
        axes_input: str | None = None,
        *,
        axes: Sequence[int] | None = None,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> str:
        reduced = reduced_axes(rewrite, x, axes_input, axes, noop_with_empty_axes)
        return _norm(rewrite, op, x, reduced, keepdims)

    return handler


for _op in ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"):
    operator(_op, kind="population", restrictions="not over the batch axis")(_reduction(_op))
