"""Functions of one tensor, which become neurons that send them, and the conditions in such."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.registry import Handler, operator


def _plain(op: str) -> Handler:
    def handler(rewrite: Rewrite, x: str) -> str:
        return rewrite.emit(op, x)

    return handler


def _curve(op: str, expression: str, **traits: Any) -> None:
    """Register an operator of one tensor without attributes."""
    operator(op, kind="function", expression=expression, **traits)(_plain(op))


_SOFTPLUS = "fmax({x}, 0.0) + log(1.0 + exp(-fabs({x})))"
_ELU = "({x} < 0.0) ? {alpha} * (exp({x}) - 1.0) : {x}"

_curve("Asinh", "asinh({x})", increasing=True)
_curve("Ceil", "ceil({x})", increasing=True)
_curve("Cos", "cos({x})", output_range=(-1.0, 1.0))
_curve("Erf", "erf({x})", increasing=True, output_range=(-1.0, 1.0))
_curve("Exp", "exp({x})", increasing=True)
_curve("Floor", "floor({x})", increasing=True)
_curve("HardSwish", "{x} * fmin(fmax({x} / 6.0 + 0.5, 0.0), 1.0)")
_curve("Log", "log({x})")
_curve("Mish", f"{{x}} * tanh({_SOFTPLUS})")
_curve("Reciprocal", "1.0 / {x}")
_curve("Round", "rint({x})", increasing=True)
_curve("Sigmoid", "1.0 / (1.0 + exp(-{x}))", increasing=True, ends=True, output_range=(0.0, 1.0))
_curve("Sign", "({x} > 0.0) ? 1.0 : (({x} < 0.0) ? -1.0 : 0.0)", increasing=True)
_curve("Sin", "sin({x})", output_range=(-1.0, 1.0))
_curve("Softplus", _SOFTPLUS, increasing=True)
_curve("Softsign", "{x} / (1.0 + fabs({x}))", increasing=True)
_curve("Sqrt", "sqrt({x})")
_curve("Tanh", "tanh({x})", increasing=True, output_range=(-1.0, 1.0))


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
        return f"0.5 * {x} * (1.0 + tanh(0.7978845608 * ({x} + 0.044715 * {x} * {x} * {x})))"
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


@operator("Pow", kind="function", restrictions="one exponent", expression="pow({x}, {y})")
def pow_(rewrite: Rewrite, x: str, exponent: str) -> str:
    """x to the power of a constant."""
    power = rewrite.constant(exponent, "exponent")
    if power.size != 1:
        raise Refusal("it has several exponents.", "Use one for all elements.")
    if float(power.reshape(-1)[0]) == 1.0:
        return x
    return rewrite.emit("Pow", x, power.reshape(()).astype(np.float32))


CONDITION = (
    "it compares values that are computed from the network's input.",
    "A condition has no spiking form but within a function of one tensor.",
)


def _comparison(op: str) -> Handler:
    def handler(rewrite: Rewrite, a: str, b: str) -> str:
        if not rewrite.is_function():
            raise Refusal(*CONDITION)
        operands = (rewrite.constant(x, "operand") if rewrite.is_constant(x) else x for x in (a, b))
        return rewrite.emit(op, *operands)

    return handler


_WITHIN = "within a function of one tensor, as the condition of Where"
for _op, _sign in {
    "Equal": "==",
    "Greater": ">",
    "GreaterOrEqual": ">=",
    "Less": "<",
    "LessOrEqual": "<=",
}.items():
    operator(_op, kind="condition", restrictions=_WITHIN, expression=f"{{x}} {_sign} {{y}}")(
        _comparison(_op)
    )
