"""Einsum, and what other operators write by it: sums of products.

One tensor times constants is affine. Of two tensors it becomes products of matrices, each element
of which takes a neuron.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnx2genn.frontend.operators.elementwise import require_fractions
from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.graph import Shape
from onnx2genn.ir.registry import operator

_PAIR = 2


@operator(
    "Einsum",
    restrictions="each letter once in an operand; two activations: not with rate coding",
)
def einsum(rewrite: Rewrite, *inputs: str, equation: str) -> str:
    """Product of one tensor with constants, or of two tensors."""
    terms, arrow, out = equation.replace(" ", "").partition("->")
    letters = terms.split(",")
    variables = [index for index, name in enumerate(inputs) if not rewrite.is_constant(name)]
    many = len(variables) > 1
    if (
        (many and len(inputs) > _PAIR)
        or "." in equation
        or not arrow
        or any(len(set(letters[index])) < len(letters[index]) for index in variables)
    ):
        raise Refusal(
            f"its equation {equation!r} is no product of one tensor with constants, or of two.",
            "Write it with MatMul and Transpose.",
        )
    if many:
        factors = [
            Factor(name, of_x, rewrite.shape(name))
            for name, of_x in zip(inputs, letters, strict=True)
        ]
        return sum_of_products(rewrite, factors, out)
    (at,) = variables
    variable, of_x = inputs[at], letters[at]
    constants = {
        index: rewrite.constant(name, "operand") for index, name in enumerate(inputs) if index != at
    }
    of_constants = [letters[index] for index in constants]
    return contract(rewrite, variable, of_x, list(constants.values()), of_constants, out)


@dataclass(frozen=True, slots=True)
class Factor:
    """A tensor with a letter for each of its axes, first the batch, and its shape without it."""

    name: str
    letters: str
    shape: Shape

    @property
    def sizes(self) -> dict[str, int]:
        """Size of each axis but the batch."""
        return dict(zip(self.letters[1:], self.shape, strict=True))


def sum_of_products(rewrite: Rewrite, factors: Sequence[Factor], out: str) -> str:
    """Write the sum of products of two tensors over the axes that ``out`` lacks.

    It is the product of two matrices for each group of the axes that all three have; without axes
    to sum over, of the elements.

    Args:
        rewrite: Rewrite of the node.
        factors: The tensors. An axis of one element broadcasts.
        out: Letters of the sum's axes, first the batch.

    Raises:
        Refusal: The batch is not the first axis of all.
    """
    if any(item.letters[0] != out[0] for item in factors):
        raise Refusal("it mixes samples.", "Keep the batch as the first axis of each operand.")
    require_fractions(rewrite)
    a, b = factors
    a, b = _summed_alone(rewrite, a, b, out), _summed_alone(rewrite, b, a, out)
    inner = [letter for letter in a.letters if letter not in out]
    if not inner:
        return rewrite.emit("Mul", *(_spread(rewrite, item, out) for item in (a, b)))
    groups = [letter for letter in out[1:] if letter in a.letters and letter in b.letters]
    rows = [letter for letter in out[1:] if letter in a.letters and letter not in groups]
    columns = [letter for letter in out[1:] if letter in b.letters and letter not in groups]
    product = rewrite.emit(
        "MatMul",
        _as_matrices(rewrite, a, groups, rows, inner),
        _as_matrices(rewrite, b, groups, inner, columns),
    )
    sizes = _broadcast(a, b)
    order = [*groups, *rows, *columns]
    apart = np.array([0, *(sizes[letter] for letter in order)], np.int64)
    product = rewrite.emit("Reshape", product, apart)
    return _transposed(rewrite, product, [[out[0], *order].index(letter) for letter in out])


def _broadcast(a: Factor, b: Factor) -> dict[str, int]:
    """Return the size of every axis but the batch."""
    return {
        letter: max(item.sizes.get(letter, 1) for item in (a, b))
        for letter in (*a.letters[1:], *b.letters[1:])
    }


def _summed_alone(rewrite: Rewrite, factor: Factor, other: Factor, out: str) -> Factor:
    """Sum a tensor over the axes that neither the other one nor the output has."""
    sizes = factor.sizes
    alone = [
        letter
        for letter in factor.letters[1:]
        if letter not in out and other.sizes.get(letter) != sizes[letter]
    ]
    if not alone:
        return factor
    kept = [letter for letter in factor.letters if letter not in alone]
    axes = np.array([factor.letters.index(letter) for letter in alone], np.int64)
    name = rewrite.emit("ReduceSum", factor.name, axes, keepdims=0)
    return Factor(name, "".join(kept), tuple(sizes[letter] for letter in kept[1:]))


def _as_matrices(
    rewrite: Rewrite, factor: Factor, groups: list[str], rows: list[str], columns: list[str]
) -> str:
    """Bring a tensor to [N, *groups, rows, columns]."""
    sizes, own = factor.sizes, factor.letters
    order = [own[0], *groups, *rows, *columns]
    moved = _transposed(rewrite, factor.name, [own.index(letter) for letter in order])
    ends = (_size(sizes, rows), _size(sizes, columns))
    shape = [0, *(sizes[letter] for letter in groups), *ends]
    return rewrite.emit("Reshape", moved, np.array(shape, np.int64))


def _spread(rewrite: Rewrite, factor: Factor, axes: Sequence[str]) -> str:
    """Bring the axes of a tensor in order, with one element for those that it lacks."""
    own = [letter for letter in axes if letter in factor.letters]
    moved = _transposed(rewrite, factor.name, [factor.letters.index(letter) for letter in own])
    shape = [0, *(factor.sizes.get(letter, 1) for letter in axes[1:])]
    return rewrite.emit("Reshape", moved, np.array(shape, np.int64))


def contract(
    rewrite: Rewrite,
    x: str,
    of_x: str,
    constants: Sequence[np.ndarray],
    of_constants: Sequence[str],
    out: str,
) -> str:
    """Write the sum of products of a tensor with constants over the axes that ``out`` lacks.

    Axes that only x and ``out`` have are rows, which one matrix multiplies. Axes that the constants
    have, too, are groups: each has a matrix of its own, and the product is a grouped convolution.

    Args:
        rewrite: Rewrite of the node, whose output has the axes ``out``.
        x: The tensor.
        of_x: A letter for each of its axes, first the batch.
        constants: The constants.
        of_constants: Letters of their axes.
        out: Letters of the output's axes.

    Raises:
        Refusal: The batch is not the first axis of the output, or the constants have it.
    """
    shared = set("".join(of_constants))
    rows = [letter for letter in of_x if letter in out and letter not in shared]
    groups = [letter for letter in of_x if letter in out and letter in shared]
    summed = [letter for letter in of_x if letter not in out]
    fresh = [letter for letter in out if letter not in of_x]
    if of_x[0] not in rows or out[0] != of_x[0]:
        raise Refusal(
            "it mixes samples, or has other weights for each of them.",
            "Keep the batch as the first axis, and out of the constants.",
        )
    sizes = dict(zip(of_x[1:], rewrite.shape(x), strict=True))
    sizes |= dict(zip(out[1:], rewrite.output_shape, strict=True))
    weight = np.einsum(
        f"{','.join([*of_constants, ''.join(groups + summed)])}->"
        + "".join(groups + summed + fresh),
        *constants,
        np.ones([sizes[letter] for letter in groups + summed], np.float32),
    )
    weight = weight.astype(np.float32)
    weight = weight.reshape(*(_size(sizes, letters) for letters in (groups, summed, fresh)))
    product = _grouped if groups else _matrix
    y, order = product(rewrite, x, of_x, (rows[1:], groups, summed, fresh), sizes, weight)
    y = rewrite.emit("Reshape", y, np.array([0, *(sizes[letter] for letter in order)], np.int64))
    axes = [of_x[0], *order]
    return _transposed(rewrite, y, [axes.index(letter) for letter in out])


_Axes = tuple[list[str], list[str], list[str], list[str]]


def _matrix(
    rewrite: Rewrite, x: str, of_x: str, axes: _Axes, sizes: Mapping[str, int], weight: np.ndarray
) -> tuple[str, list[str]]:
    """Multiply rows [N, *rows, summed] by one matrix."""
    rows, _, summed, fresh = axes
    moved = _transposed(rewrite, x, [of_x.index(letter) for letter in (of_x[0], *rows, *summed)])
    shape = [0, *(sizes[letter] for letter in rows), weight.shape[1]]
    moved = rewrite.emit("Reshape", moved, np.array(shape, np.int64))
    return rewrite.emit("MatMul", moved, weight[0]), rows + fresh


def _grouped(
    rewrite: Rewrite, x: str, of_x: str, axes: _Axes, sizes: Mapping[str, int], weight: np.ndarray
) -> tuple[str, list[str]]:
    """Multiply columns [N, groups summed, rows] by one matrix for each group."""
    rows, groups, summed, fresh = axes
    moved = _transposed(
        rewrite, x, [of_x.index(letter) for letter in (of_x[0], *groups, *summed, *rows)]
    )
    shape = [0, weight.shape[0] * weight.shape[1], _size(sizes, rows)]
    moved = rewrite.emit("Reshape", moved, np.array(shape, np.int64))
    kernel = weight.transpose(0, 2, 1).reshape(-1, weight.shape[1], 1)
    product = rewrite.emit(
        "Conv",
        moved,
        np.ascontiguousarray(kernel),
        kernel_shape=[1],
        strides=[1],
        dilations=[1],
        group=len(weight),
        pads=[0, 0],
    )
    return product, groups + fresh + rows


def _transposed(rewrite: Rewrite, x: str, perm: list[int]) -> str:
    return x if perm == sorted(perm) else rewrite.emit("Transpose", x, perm=perm)


def _size(sizes: Mapping[str, int], letters: Sequence[str]) -> int:
    return int(np.prod([sizes[letter] for letter in letters], dtype=np.int64))
