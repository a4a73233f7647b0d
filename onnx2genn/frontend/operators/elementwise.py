"""Arithmetic between tensors and constants, and batch normalisation."""

from __future__ import annotations

import numpy as np

from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.registry import operator

_PRODUCT = "of two activations: not with codings that fire while they integrate (rate)"


DROPS_THE_REST = (
    "it divides whole numbers and drops the rest.",
    "Cast to float32 before it; round with Floor if that is wanted.",
)


def aligned(rewrite: Rewrite, name: str, other: str, role: str = "operand") -> np.ndarray:
    """Return a constant operand as float32 with the rank of the other operand, batch axis 1.

    Raises:
        Refusal: It differs between samples.
    """
    array: np.ndarray = np.asarray(rewrite.constant(name, role), dtype=np.float32)
    rank = len(rewrite.shape(other)) + 1
    array = array.reshape((1,) * max(0, rank - array.ndim) + array.shape)
    if array.ndim > rank or len(array) != 1:
        raise Refusal(
            f"its constant {role} of shape {list(array.shape)} reaches over the batch axis.",
            "Use one that is equal for all samples.",
        )
    return array


@operator("Add", elementwise=True, expression="{x} + {y}")
def add(rewrite: Rewrite, a: str, b: str) -> str:
    """A + B; B may be a constant or another branch."""
    if rewrite.is_constant(a):
        a, b = b, a
    if rewrite.is_constant(b):
        return rewrite.emit("Add", a, aligned(rewrite, b, a))
    same_rank(rewrite, a, b)
    return rewrite.emit("Add", a, b)


@operator("Sub", elementwise=True, expression="{x} - {y}")
def sub(rewrite: Rewrite, a: str, b: str) -> str:
    """A - B; either may be a constant."""
    if rewrite.is_constant(b):
        return rewrite.emit("Add", a, -aligned(rewrite, b, a))
    if rewrite.is_constant(a):
        negative = rewrite.emit("Mul", b, np.float32(-1))
        return rewrite.emit("Add", negative, aligned(rewrite, a, b))
    same_rank(rewrite, a, b)
    return rewrite.minus(a, b)


def same_rank(rewrite: Rewrite, a: str, b: str) -> None:
    if len(rewrite.shape(a)) != len(rewrite.shape(b)):
        raise Refusal(
            f"its operands have different ranks ({len(rewrite.shape(a)) + 1} and "
            f"{len(rewrite.shape(b)) + 1}), so that the batch axes do not meet.",
            "Reshape the smaller one first.",
        )


@operator("Mul", restrictions=_PRODUCT, elementwise=True, expression="{x} * {y}")
def mul(rewrite: Rewrite, a: str, b: str) -> str:
    """A B; x Sigmoid(x) and the like become one function."""
    if rewrite.is_constant(a):
        a, b = b, a
    if rewrite.is_constant(b):
        return rewrite.emit("Mul", a, aligned(rewrite, b, a))
    same_rank(rewrite, a, b)
    require_fractions(rewrite)
    return rewrite.emit("Mul", a, b)


def require_fractions(rewrite: Rewrite) -> None:
    """Refuse a product of two tensors of whole numbers.

    Raises:
        Refusal: They are whole numbers.
    """
    if rewrite.is_whole(rewrite.node.output):
        raise Refusal(
            "it multiplies whole numbers, and neurons send a product only nearly.",
            "Cast both to float32 before it.",
        )


@operator("Div", restrictions=_PRODUCT, elementwise=True, expression="{x} / {y}")
def div(rewrite: Rewrite, a: str, b: str) -> str:
    """A / B; x / (1 + Exp(-x)) and the like become one function."""
    if rewrite.is_whole(rewrite.node.output):
        raise Refusal(*DROPS_THE_REST)
    if rewrite.is_constant(b):
        return rewrite.emit("Mul", a, np.float32(1) / aligned(rewrite, b, a))
    if rewrite.is_constant(a):
        return rewrite.emit("Mul", rewrite.emit("Reciprocal", b), aligned(rewrite, a, b))
    if rewrite.is_function():
        return rewrite.emit("Div", a, b)
    same_rank(rewrite, a, b)
    return rewrite.emit("Mul", a, rewrite.emit("Reciprocal", b))


@operator("Neg", elementwise=True)
def neg(rewrite: Rewrite, x: str) -> str:
    """-X."""
    return rewrite.emit("Mul", x, np.float32(-1))


@operator("Sum", elementwise=True)
def sum_(rewrite: Rewrite, *inputs: str) -> str:
    """Sum of all operands."""
    return _total(rewrite, inputs)


@operator("Mean", elementwise=True)
def mean(rewrite: Rewrite, *inputs: str) -> str:
    """Mean of all operands."""
    return rewrite.emit("Mul", _total(rewrite, inputs), np.float32(1 / len(inputs)))


def _total(rewrite: Rewrite, inputs: tuple[str, ...]) -> str:
    variable = [name for name in inputs if not rewrite.is_constant(name)]
    total = variable[0]
    for name in variable[1:]:
        same_rank(rewrite, variable[0], name)
        total = rewrite.emit("Add", total, name)
    for name in inputs:
        if name not in variable:
            total = rewrite.emit("Add", total, aligned(rewrite, name, variable[0]))
    return total


@operator("BatchNormalization", restrictions="inference mode")
def batch_normalization(
    rewrite: Rewrite,
    x: str,
    scale: str,
    b: str,
    mean: str,
    var: str,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
    spatial: int = 1,
) -> str:
    """scale (x - mean) / sqrt(var + epsilon) + b, per channel, as one product and one sum."""
    if training_mode:
        raise Refusal(
            "it is in training mode and normalises with the statistics of the batch.",
            "Export the model in evaluation mode (model.eval() in PyTorch).",
        )
    gain = rewrite.constant(scale, "scale") / np.sqrt(rewrite.constant(var, "variance") + epsilon)
    shift = rewrite.constant(b, "shift") - rewrite.constant(mean, "mean") * gain
    rank = len(rewrite.shape(x)) + 1
    if gain.ndim == 1:
        gain, shift = (item.reshape(1, -1, *[1] * (rank - 2)) for item in (gain, shift))
    scaled = rewrite.emit("Mul", x, gain.astype(np.float32))
    return rewrite.emit("Add", scaled, shift.astype(np.float32))
