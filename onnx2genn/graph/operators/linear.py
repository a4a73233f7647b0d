"""Gemm, MatMul and Conv."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnx2genn.graph.operators.windows import explicit_pads
from onnx2genn.graph.rewrite import Refusal, Rewrite, operator


@operator("Gemm", restrictions="B and C constant")
def gemm(
    rewrite: Rewrite,
    a: str,
    b: str,
    c: str | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
    broadcast: int = 0,
) -> str:
    """Y = alpha A' B' + beta C, as MatMul and Add."""
    if transA:
        raise Refusal(
            "transA=1 puts the batch on the second axis.",
            "Keep the batch first: transpose the weights instead.",
        )
    weight = rewrite.constant(b, "matrix B")
    weight = np.float32(alpha) * (weight.T if transB else weight)
    product = rewrite.emit("MatMul", a, np.ascontiguousarray(weight, dtype=np.float32))
    if c is None or beta == 0.0:
        return product
    bias = np.float32(beta) * rewrite.constant(c, "bias C")
    return rewrite.emit("Add", product, np.broadcast_to(bias, (1, weight.shape[1])).copy())


@operator("MatMul", restrictions="one operand constant")
def matmul(rewrite: Rewrite, a: str, b: str) -> str:
    """Y = A B with constant B of rank 2; a constant on the left is transposed to the right."""
    if rewrite.is_constant(a):
        return _left_matmul(rewrite, rewrite.constant(a, "left operand"), b)
    if not rewrite.is_constant(b):
        raise Refusal(
            "both operands are computed from the network's input, as in attention.",
            "A product of two activations has no spiking form here.",
        )
    weight = rewrite.constant(b, "right operand")
    if weight.ndim == 1:
        column = rewrite.emit("MatMul", a, weight[:, None])
        return rewrite.emit("Reshape", column, np.array([0, *rewrite.output_shape], np.int64))
    while weight.ndim > 2 and weight.shape[0] == 1:
        weight = weight[0]
    if weight.ndim > 2:
        raise Refusal(
            f"its constant operand has shape {list(weight.shape)}, a batch of matrices.",
            "Use one matrix for all, or a grouped convolution.",
        )
    rewrite.shape(a)
    return rewrite.emit("MatMul", a, weight)


def _left_matmul(rewrite: Rewrite, weight: np.ndarray, x: str) -> str:
    """W X = (X^T W^T)^T for X of at least rank 2 in each sample."""
    rank = len(rewrite.shape(x)) + 1
    rewrite.output_shape  # noqa: B018  (refuses a product over the batch)
    if rank < 3 or weight.ndim != 2:
        raise Refusal(
            "its constant operand on the left multiplies over the batch.",
            "Put the weights on the right: Y = X W.",
        )
    swap = [*range(rank - 2), rank - 1, rank - 2]
    turned = rewrite.emit("Transpose", x, perm=swap)
    product = rewrite.emit("MatMul", turned, np.ascontiguousarray(weight.T))
    return rewrite.emit("Transpose", product, perm=swap)


@operator("Conv", restrictions="weights constant")
def conv(
    rewrite: Rewrite,
    x: str,
    w: str,
    b: str | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> str:
    """Cross-correlation with every attribute written out."""
    weight = rewrite.constant(w, "kernel")
    bias = [] if b is None else [rewrite.constant(b, "bias")]
    if bias and bias[0].shape != weight.shape[:1]:
        raise Refusal(
            f"its bias has shape {list(bias[0].shape)} for {weight.shape[0]} output channels.",
            "The exported file is damaged; export it again with a newer exporter.",
        )
    spatial = rewrite.shape(x)[1:]
    kernel = list(weight.shape[2:])
    strides = list(strides or [1] * len(kernel))
    dilations = list(dilations or [1] * len(kernel))
    return rewrite.emit(
        "Conv",
        x,
        weight,
        *bias,
        kernel_shape=kernel,
        strides=strides,
        dilations=dilations,
        group=group,
        pads=explicit_pads(auto_pad, pads, spatial, kernel, strides, dilations),
    )
