"""Attention, the operator of opset 23, as the products and the Softmax that it stands for."""

from __future__ import annotations

import numpy as np

from onnx2genn.frontend.operators.einsum import Factor, sum_of_products
from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.graph import Shape
from onnx2genn.ir.registry import operator

_THREE_AXES = 2  # without the batch
_RESTRICTIONS = "constant mask, no cache; not with codings that fire while they integrate (rate)"


@operator("Attention", kind="population", restrictions=_RESTRICTIONS)
def attention(
    rewrite: Rewrite,
    query: str,
    key: str,
    value: str,
    mask: str | None = None,
    past_key: str | None = None,
    past_value: str | None = None,
    nonpad_lengths: str | None = None,
    *,
    is_causal: int = 0,
    kv_num_heads: int | None = None,
    q_num_heads: int | None = None,
    qk_matmul_output_mode: int = 0,
    scale: float | None = None,
    softcap: float = 0.0,
    softmax_precision: int | None = None,
) -> str:
    """Softmax(Q K^T scale + mask) V; each head of K and V serves a group of heads of Q."""
    if past_key or past_value or nonpad_lengths:
        raise Refusal(
            "it reads a cache of earlier tokens, or their number.",
            "Export the model for whole sequences of one length.",
        )
    (q, of_q), (k, of_k), (v, of_v) = (
        _split_heads(rewrite, name, heads)
        for name, heads in ((query, q_num_heads), (key, kv_num_heads), (value, kv_num_heads))
    )
    heads, length, width = of_q
    groups, others, _ = of_k
    shared = (groups, heads // groups)
    q = rewrite.emit("Mul", q, np.float32(1 / np.sqrt(width) if scale is None else scale))
    q = rewrite.emit("Reshape", q, np.array([0, *shared, length, width], np.int64))
    scores = sum_of_products(
        rewrite, [Factor(q, "Nghxd", (*shared, length, width)), Factor(k, "Ngyd", of_k)], "Nghxy"
    )
    scores = rewrite.emit("Reshape", scores, np.array([0, heads, length, others], np.int64))
    if softcap:
        bounded = rewrite.emit("Tanh", rewrite.emit("Mul", scores, np.float32(1 / softcap)))
        scores = rewrite.emit("Mul", bounded, np.float32(softcap))
    bias = _bias(rewrite, mask, is_causal, (length, others))
    hidden = (bias <= np.finfo(np.float32).min).all(axis=-1, keepdims=True)
    if bias.any():
        scores = rewrite.emit("Add", scores, np.where(hidden, np.float32(0), bias))
    weights = rewrite.emit("Softmax", scores, axis=-1)
    if hidden.any():  # a row without weights
        weights = rewrite.emit("Mul", weights, 1 - hidden.astype(np.float32))
    weights = rewrite.emit("Reshape", weights, np.array([0, *shared, length, others], np.int64))
    mixed = sum_of_products(
        rewrite,
        [Factor(weights, "Nghxy", (*shared, length, others)), Factor(v, "Ngyd", of_v)],
        "Nghxd",
    )
    if len(rewrite.shape(query)) == _THREE_AXES:
        mixed = rewrite.emit("Transpose", mixed, perm=[0, 3, 1, 2, 4])
    return rewrite.emit("Reshape", mixed, np.array([0, *rewrite.output_shape], np.int64))


def _split_heads(rewrite: Rewrite, name: str, heads: int | None) -> tuple[str, Shape]:
    """Bring a tensor to [N, heads, length, width]; return it with its shape."""
    shape = rewrite.shape(name)
    if len(shape) > _THREE_AXES:
        return name, shape
    length, features = shape
    width = features // (heads or 1)
    parts = rewrite.emit("Reshape", name, np.array([0, length, heads or 1, width], np.int64))
    return rewrite.emit("Transpose", parts, perm=[0, 2, 1, 3]), (heads or 1, length, width)


def _bias(rewrite: Rewrite, mask: str | None, is_causal: int, shape: tuple[int, int]) -> np.ndarray:
    """Return what is added to the scores, [1, heads or 1, rows, columns]."""
    total: np.ndarray = np.zeros(shape, np.float32)
    if mask is not None:
        given = rewrite.constant(mask, "mask")
        if given.dtype == bool:
            given = np.where(given, np.float32(0), np.float32(-np.inf))
        total = total + given.astype(np.float32)
    if is_causal:
        total = total + np.triu(np.full(shape, -np.inf, np.float32), 1)
    return total.reshape((1,) * (4 - total.ndim) + total.shape)
