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


@operator("Einsum", restrictions="one variable operand, each letter once in it")
def einsum(rewrite: Rewrite, *inputs: str, equation: str) -> str:
    """Product of one variable with constants: transpose, multiply by one matrix, transpose."""
    terms, arrow, out = equation.replace(" ", "").partition("->")
    letters = terms.split(",")
    (variable, *others) = [name for name in inputs if not rewrite.is_constant(name)]
    at = inputs.index(variable)
    of_x = letters[at]
    if others or "." in equation or not arrow or len(set(of_x)) < len(of_x):
        raise Refusal(
            f"its equation {equation!r} is no product of one tensor with constants.",
            "Write it with MatMul and Transpose.",
        )
    kept = [letter for letter in of_x if letter in out and letter not in "".join(_but(letters, at))]
    summed = [letter for letter in of_x if letter not in kept]
    fresh = [letter for letter in out if letter not in of_x]
    if of_x[0] not in kept or out[0] != of_x[0] or set(summed) & set(out):
        raise Refusal(
            f"its equation {equation!r} mixes samples, or has one matrix for each element.",
            "Write it with MatMul and Transpose.",
        )
    sizes = dict(zip(of_x[1:], rewrite.shape(variable), strict=True))
    sizes |= dict(zip(out[1:], rewrite.output_shape, strict=True))
    constants = [rewrite.constant(name, "operand") for name in _but(inputs, at)]
    ones = np.ones([sizes[letter] for letter in summed], np.float32)
    weight = np.einsum(
        f"{','.join([*_but(letters, at), ''.join(summed)])}->{''.join(summed + fresh)}",
        *constants,
        ones,
    ).reshape(ones.size, -1)
    order = [of_x.index(letter) for letter in kept + summed]
    rows = rewrite.emit("Transpose", variable, perm=order)
    shape = [0, *(sizes[letter] for letter in kept[1:]), ones.size]
    rows = rewrite.emit("Reshape", rows, np.array(shape, np.int64))
    product = rewrite.emit("MatMul", rows, weight.astype(np.float32))
    shape = [0, *(sizes[letter] for letter in kept[1:] + fresh)]
    product = rewrite.emit("Reshape", product, np.array(shape, np.int64))
    return rewrite.emit("Transpose", product, perm=[(kept + fresh).index(item) for item in out])


def _but(items: Sequence[str], index: int) -> list[str]:
    return [item for at, item in enumerate(items) if at != index]
