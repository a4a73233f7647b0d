"""Gemm, MatMul and Conv."""

from __future__ import annotations

import string
from collections.abc import Sequence

import numpy as np

from onnx2genn.frontend.operators.einsum import Factor, contract, sum_of_products
from onnx2genn.frontend.operators.elementwise import aligned
from onnx2genn.frontend.operators.windows import explicit_pads
from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.registry import operator


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
) -> str:
    """Y = alpha A' B' + beta C, as MatMul and Add."""
    if transA:
        raise Refusal(
            "transA=1 puts the batch on the second axis.",
            "Keep the batch first: transpose the weights instead.",
        )
    weight = rewrite.constant(b, "matrix B")
    weight = weight.T if transB else weight
    if alpha != 1.0:
        weight = np.float32(alpha) * weight
    product = rewrite.emit("MatMul", a, np.ascontiguousarray(weight, dtype=np.float32))
    if c is None or beta == 0.0:
        return product
    bias = np.float32(beta) * aligned(rewrite, c, a, "bias C")
    return rewrite.emit("Add", product, np.broadcast_to(bias, (1, weight.shape[1])).copy())


@operator(
    "MatMul",
    restrictions="of two activations: not with codings that fire while they integrate (rate)",
)
def matmul(rewrite: Rewrite, a: str, b: str) -> str:
    """Y = A B with one constant; one on the left is transposed to the right.

    Constants of more than two axes are a batch of matrices: one for each group of rows.
    """
    if rewrite.is_constant(a):
        return _left_matmul(rewrite, rewrite.constant(a, "left operand"), b)
    if not rewrite.is_constant(b):
        return _products(rewrite, a, b)
    weight = rewrite.constant(b, "right operand")
    if weight.ndim == 1:
        column = rewrite.emit("MatMul", a, weight[:, None])
        return rewrite.emit("Reshape", column, np.array([0, *rewrite.output_shape], np.int64))
    weight = _without_leading_ones(weight)
    rewrite.output_shape  # noqa: B018  (refuses matrices before the batch)
    if weight.ndim > 2:
        return _batched(rewrite, a, weight, "xy", "yz", "xz")
    return rewrite.emit("MatMul", a, weight)


def _products(rewrite: Rewrite, a: str, b: str) -> str:
    """Sum of products of two tensors, [..., n, k] and [..., k, m], as in attention."""
    rows, columns = rewrite.shape(a), rewrite.shape(b)
    if len(rows) != len(columns) or len(rows) < 2:
        raise Refusal(
            f"it multiplies two tensors of {len(rows)} and {len(columns)} axes in each sample.",
            "Give both the same number of axes, two at least.",
        )
    leading = string.ascii_uppercase[: len(rows) - 1]
    factors = [Factor(a, f"{leading}xy", rows), Factor(b, f"{leading}yz", columns)]
    return sum_of_products(rewrite, factors, f"{leading}xz")


def _left_matmul(rewrite: Rewrite, weight: np.ndarray, x: str) -> str:
    """W X = (X^T W^T)^T for X of at least rank 2 in each sample."""
    rank = len(rewrite.shape(x)) + 1
    weight = _without_leading_ones(weight)
    rewrite.output_shape  # noqa: B018  (refuses a product over the batch)
    if rank < 3:
        raise Refusal(
            "its constant operand on the left multiplies over the batch.",
            "Put the weights on the right: Y = X W.",
        )
    if weight.ndim == 1:
        return _batched(rewrite, x, weight, "xy", "x", "y")
    if weight.ndim > 2:
        return _batched(rewrite, x, weight, "xy", "zx", "zy")
    swap = [*range(rank - 2), rank - 1, rank - 2]
    turned = rewrite.emit("Transpose", x, perm=swap)
    product = rewrite.emit("MatMul", turned, np.ascontiguousarray(weight.T))
    return rewrite.emit("Transpose", product, perm=swap)


def _without_leading_ones(weight: np.ndarray) -> np.ndarray:
    while weight.ndim > 2 and weight.shape[0] == 1:
        weight = weight[0]
    return weight


def _batched(
    rewrite: Rewrite, x: str, weight: np.ndarray, of_x: str, of_weight: str, of_y: str
) -> str:
    """Multiply by a batch of matrices, whose leading axes broadcast with those of X.

    Args:
        rewrite: Rewrite of the node.
        x: The tensor X.
        weight: The matrices, or one vector.
        of_x: Letters for the last two axes of X.
        of_weight: Letters for the last axes of a matrix.
        of_y: Letters for the last axes of the product.
    """
    sizes = (0, *rewrite.shape(x))
    leading = string.ascii_uppercase[: len(sizes) - 2]
    stack = weight.shape[: weight.ndim - len(of_weight)]
    varied = [
        index for index, size in enumerate(stack, start=len(leading) - len(stack)) if size > 1
    ]
    # An axis of size 1 that X repeats along has a letter of its own, to be summed over.
    names = [
        letter.lower() if sizes[index] == 1 and index in varied else letter
        for index, letter in enumerate(leading)
    ]
    return contract(
        rewrite,
        x,
        "".join(names) + of_x,
        [weight.squeeze(tuple(index for index, size in enumerate(stack) if size == 1))],
        ["".join(leading[index] for index in varied) + of_weight],
        leading + of_y,
    )


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


@operator("ConvTranspose", restrictions="weights constant")
def conv_transpose(
    rewrite: Rewrite,
    x: str,
    w: str,
    b: str | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> str:
    """Transposed convolution with every attribute written out."""
    weight = rewrite.constant(w, "kernel")
    bias = [] if b is None else [rewrite.constant(b, "bias")]
    kernel = list(weight.shape[2:])
    strides = list(strides or [1] * len(kernel))
    dilations = list(dilations or [1] * len(kernel))
    added = list(output_padding or [0] * len(kernel))
    if auto_pad not in ("NOTSET", "") or output_shape:
        # All that the full result has more than the output is cut off.
        full = [
            (size - 1) * stride + more + (width - 1) * dilation + 1
            for size, stride, more, width, dilation in zip(
                rewrite.shape(x)[1:], strides, added, kernel, dilations, strict=True
            )
        ]
        cut = np.subtract(full, rewrite.output_shape[1:])
        less = cut // 2
        begins = less if auto_pad == "SAME_UPPER" else cut - less
        pads = np.concatenate([begins, cut - begins]).tolist()
        if min(pads) < 0:
            raise Refusal("its output is larger than its kernel reaches.", "Use output_padding.")
    return rewrite.emit(
        "ConvTranspose",
        x,
        weight,
        *bias,
        kernel_shape=kernel,
        strides=strides,
        dilations=dilations,
        group=group,
        output_padding=added,
        pads=list(pads or [0] * (2 * len(kernel))),
    )
