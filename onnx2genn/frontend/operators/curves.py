"""Functions of one tensor, which become neurons that send them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from onnx2genn.frontend.operators.elementwise import aligned
from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.registry import Handler, operator

_MOST_VALUES = 256
_MOST_FACTORS = 8


def _plain(op: str) -> Handler:
    def handler(rewrite: Rewrite, x: str) -> str:
        return rewrite.emit(op, x)

    return handler


def _curve(op: str, expression: str, **traits: Any) -> None:
    """Register an operator of one tensor without attributes."""
    operator(op, kind="function", expression=expression, **traits)(_plain(op))


# A GPU's fast tanh is right to 11 bits, its fast exp to 21.
_TANH = "1.0 - 2.0 / (exp(2.0 * ({x})) + 1.0)"
_SOFTPLUS = "fmax({x}, 0.0) + log(1.0 + exp(-fabs({x})))"
_ELU = "({x} < 0.0) ? {alpha} * (exp({x}) - 1.0) : {x}"

_curve("Acos", "acos({x})")
_curve("Acosh", "acosh({x})")
_curve("Asin", "asin({x})")
_curve("Asinh", "asinh({x})", increasing=True)
_curve("Atan", "atan({x})", increasing=True)
_curve("Atanh", "atanh({x})")
_curve("Ceil", "ceil({x})", increasing=True)
_curve("Cos", "cos({x})", output_range=(-1.0, 1.0))
_curve("Cosh", "cosh({x})")
_curve("Erf", "erf({x})", increasing=True, output_range=(-1.0, 1.0))
_curve("Exp", "exp({x})", increasing=True)
_curve("Floor", "floor({x})", increasing=True)
_curve("HardSwish", "{x} * fmin(fmax({x} / 6.0 + 0.5, 0.0), 1.0)")
_curve("Log", "log({x})")
_curve("Mish", f"{{x}} * ({_TANH.format(x=_SOFTPLUS)})")
_curve("Reciprocal", "1.0 / {x}")
_curve("Round", "rint({x})", increasing=True)
_curve("Sigmoid", "1.0 / (1.0 + exp(-{x}))", increasing=True, ends=True, output_range=(0.0, 1.0))
_curve("Sign", "({x} > 0.0) ? 1.0 : (({x} < 0.0) ? -1.0 : 0.0)", increasing=True)
_curve("Sin", "sin({x})", output_range=(-1.0, 1.0))
_curve("Sinh", "sinh({x})", increasing=True)
_curve("Softplus", _SOFTPLUS, increasing=True)
_curve("Softsign", "{x} / (1.0 + fabs({x}))", increasing=True)
_curve("Sqrt", "sqrt({x})")
_curve("Tan", "tan({x})")
_curve("Tanh", _TANH, increasing=True, output_range=(-1.0, 1.0))


@operator("Swish", kind="function")
def swish(rewrite: Rewrite, x: str, *, alpha: float = 1.0) -> str:
    """x sigmoid(alpha x)."""
    scaled = x if alpha == 1.0 else rewrite.emit("Mul", x, np.float32(alpha))
    return rewrite.emit("Mul", x, rewrite.emit("Sigmoid", scaled))


@operator("QuickGelu", kind="function", domain="com.microsoft")
def quick_gelu(rewrite: Rewrite, x: str, *, alpha: float = 1.702) -> str:
    """x sigmoid(alpha x), as onnxruntime's optimiser writes it."""
    return swish(rewrite, x, alpha=alpha)


def _gelu(x: str, *, approximate: str) -> str:
    if approximate == "tanh":
        inner = f"0.7978845608 * ({x} + 0.044715 * {x} * {x} * {x})"
        return f"0.5 * {x} * (1.0 + ({_TANH.format(x=inner)}))"
    return f"0.5 * {x} * (1.0 + erf({x} * 0.7071067812))"


@operator("Gelu", kind="function", expression=_gelu)
@operator("Gelu", kind="function", domain="com.microsoft")
def gelu(rewrite: Rewrite, x: str, *, approximate: str = "none") -> str:
    """x times the normal distribution function of x."""
    return rewrite.emit("Gelu", x, approximate=approximate)


@operator(
    "Celu",
    kind="function",
    increasing=True,
    expression="fmax({x}, 0.0) + fmin({alpha} * (exp({x} / {alpha}) - 1.0), 0.0)",
)
def celu(rewrite: Rewrite, x: str, *, alpha: float = 1.0) -> str:
    """max(x, 0) + min(alpha (exp(x / alpha) - 1), 0)."""
    return rewrite.emit("Celu", x, alpha=alpha)


@operator("Elu", kind="function", increasing=True, expression=_ELU)
def elu(rewrite: Rewrite, x: str, *, alpha: float = 1.0) -> str:
    """x above 0, alpha (exp(x) - 1) below."""
    return rewrite.emit("Elu", x, alpha=alpha)


@operator("Selu", kind="function", increasing=True, expression=f"{{gamma}} * ({_ELU})")
def selu(
    rewrite: Rewrite, x: str, *, alpha: float = 1.6732632423543772, gamma: float = 1.05070098735548
) -> str:
    """gamma times Elu."""
    return rewrite.emit("Selu", x, alpha=alpha, gamma=gamma)


@operator(
    "ThresholdedRelu", kind="function", increasing=True, expression="({x} > {alpha}) ? {x} : 0.0"
)
def thresholded_relu(rewrite: Rewrite, x: str, *, alpha: float = 1.0) -> str:
    """x above alpha, 0 below."""
    return rewrite.emit("ThresholdedRelu", x, alpha=alpha)


@operator(
    "Shrink",
    kind="function",
    expression="({x} > {lambd}) ? {x} - ({bias}) : (({x} < -({lambd})) ? {x} + {bias} : 0.0)",
)
def shrink(rewrite: Rewrite, x: str, *, bias: float = 0.0, lambd: float = 0.5) -> str:
    """Values are brought nearer to zero by the bias, those within lambda to zero."""
    return rewrite.emit("Shrink", x, bias=bias, lambd=lambd)


def _power(x: str, y: str) -> str:
    """A whole power without the logarithm of x, which a GPU's fast pow takes of its sign, too."""
    exponent = float(y.strip("()"))
    if exponent != int(exponent):
        return f"pow({x}, {y})"
    if 0 < exponent <= _MOST_FACTORS:
        return " * ".join([x] * int(exponent))
    size = f"pow(fabs({x}), {y})"
    return f"({x} < 0.0) ? -{size} : {size}" if exponent % 2 else size


@operator("Pow", kind="function", expression=_power)
def pow_(rewrite: Rewrite, x: str, exponent: str) -> str:
    """x to the power of a constant."""

    def write(part: str, power: np.float32) -> str:
        return part if power == 1 else rewrite.emit("Pow", part, power)

    return _value_by_value(rewrite, x, exponent, write)


@operator("Mod", kind="function", expression="fmod({x}, {y})")
def mod(rewrite: Rewrite, x: str, divisor: str, *, fmod: int = 0) -> str:
    """Remainder of a division by a constant, with the sign of x (fmod), or of the constant."""

    def write(part: str, by: np.float32) -> str:
        rest = rewrite.emit("Mod", part, by, fmod=1)
        return rest if fmod else rewrite.emit("Mod", rewrite.emit("Add", rest, by), by, fmod=1)

    return _value_by_value(rewrite, x, divisor, write)


def _value_by_value(
    rewrite: Rewrite, x: str, operand: str, write: Callable[[str, np.float32], str]
) -> str:
    """Write a function of x and a constant: a population for each value of the constant."""
    constant = aligned(rewrite, operand, x)
    values, which = np.unique(constant, return_inverse=True)
    if len(values) == 1 and rewrite.output_shape == rewrite.shape(x):
        return write(x, values[0])
    if len(values) > _MOST_VALUES:
        raise Refusal(
            f"its constant has {len(values)} values, and each takes a population of its own.",
            f"Use {_MOST_VALUES} values or fewer.",
        )
    shape = (1, *rewrite.output_shape)
    which = np.broadcast_to(which.reshape(constant.shape), shape).ravel()
    flat = rewrite.emit("Expand", x, np.array(shape, np.int64))
    flat = rewrite.emit("Reshape", flat, np.array([0, which.size], np.int64))
    parts = [
        write(rewrite.emit("Gather", flat, np.flatnonzero(which == index), axis=1), value)
        for index, value in enumerate(values)
    ]
    joined = rewrite.emit("Concat", *parts, axis=1)
    order = np.argsort(np.argsort(which, kind="stable"))
    back = rewrite.emit("Gather", joined, order, axis=1)
    return rewrite.emit("Reshape", back, np.array([0, *rewrite.output_shape], np.int64))
