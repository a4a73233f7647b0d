"""Activations, which become populations of neurons."""

from __future__ import annotations

import numpy as np

from onnx2genn.frontend.operators.elementwise import aligned
from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.functions import COMPARISONS, CURVES
from onnx2genn.ir.registry import Handler, operator

_CURVE = "not with codings that fire while they integrate (rate)"
_ONE_VALUE = "one bound for all neurons"


@operator("Relu", kind="population")
def relu(rewrite: Rewrite, x: str) -> str:
    """max(x, 0)."""
    return rewrite.emit("Relu", x)


@operator("Clip", kind="population", restrictions=_ONE_VALUE)
def clip(
    rewrite: Rewrite,
    x: str,
    min_input: str | None = None,
    max_input: str | None = None,
    *,
    min: float | None = None,
    max: float | None = None,
) -> str:
    """min(max(x, lo), hi); before opset 11 the bounds are attributes."""
    if min_input is not None:
        min = float(rewrite.constant(min_input, "lower bound").reshape(-1)[0])
    if max_input is not None:
        max = float(rewrite.constant(max_input, "upper bound").reshape(-1)[0])
    return clamp(rewrite, x, min, max)


def clamp(rewrite: Rewrite, x: str, low: float | None, high: float | None) -> str:
    """Write a Clip; a bound that no float32 reaches is none."""
    widest = np.finfo(np.float32).max
    low = None if low is None or low <= -widest else low
    high = None if high is None or high >= widest else high
    if low is None and high is None:
        return x
    if low == 0 and high is None:
        return rewrite.emit("Relu", x)
    bounds = ["" if bound is None else np.float32(bound) for bound in (low, high)]
    return rewrite.emit("Clip", x, *bounds)


def _extreme(rewrite: Rewrite, op: str, inputs: tuple[str, ...]) -> str:
    """Write Max or Min of two, one after the other; constants come last."""
    variable = [name for name in inputs if not rewrite.is_constant(name)]
    if len({len(rewrite.shape(name)) for name in variable}) > 1:
        raise Refusal("its operands have different ranks.", "Reshape the smaller one first.")
    result = variable[0]
    for name in variable[1:]:
        result = rewrite.emit(op, result, name)
    for name in inputs:
        if name not in variable:
            result = _bounded(rewrite, op, result, aligned(rewrite, name, variable[0]))
    return result


def _bounded(rewrite: Rewrite, op: str, x: str, bound: np.ndarray) -> str:
    if bound.size > 1:
        return rewrite.emit(op, x, bound)
    value = float(bound.reshape(-1)[0])
    return clamp(rewrite, x, value, None) if op == "Max" else clamp(rewrite, x, None, value)


@operator("Max", kind="population")
def max_(rewrite: Rewrite, *inputs: str) -> str:
    """Largest operand; max(a, b) = a + relu(b - a)."""
    return _extreme(rewrite, "Max", inputs)


@operator("Min", kind="population")
def min_(rewrite: Rewrite, *inputs: str) -> str:
    """Smallest operand; min(a, b) = a - relu(a - b)."""
    return _extreme(rewrite, "Min", inputs)


@operator("LeakyRelu", kind="population")
def leaky_relu(rewrite: Rewrite, x: str, *, alpha: float = 0.01) -> str:
    """relu(x) - alpha relu(-x)."""
    return rewrite.emit("LeakyRelu", x, alpha=alpha)


@operator("PRelu", kind="population")
def p_relu(rewrite: Rewrite, x: str, slope: str) -> str:
    """relu(x) - slope relu(-x)."""
    return rewrite.emit("PRelu", x, aligned(rewrite, slope, x))


@operator("Abs", kind="population")
def abs_(rewrite: Rewrite, x: str) -> str:
    """relu(x) + relu(-x)."""
    return rewrite.emit("Abs", x)


@operator("HardSigmoid", kind="population")
def hard_sigmoid(rewrite: Rewrite, x: str, *, alpha: float = 0.2, beta: float = 0.5) -> str:
    """min(max(alpha x + beta, 0), 1)."""
    return rewrite.emit("HardSigmoid", x, alpha=alpha, beta=beta)


@operator("Swish", kind="population", restrictions=_CURVE)
def swish(rewrite: Rewrite, x: str, *, alpha: float = 1.0) -> str:
    """x sigmoid(alpha x)."""
    return _swish(rewrite, x, alpha)


def _swish(rewrite: Rewrite, x: str, alpha: float) -> str:
    scaled = x if alpha == 1.0 else rewrite.emit("Mul", x, np.float32(alpha))
    return rewrite.emit("Mul", x, rewrite.emit("Sigmoid", scaled))


@operator("QuickGelu", kind="population", domain="com.microsoft", restrictions=_CURVE)
def quick_gelu(rewrite: Rewrite, x: str, *, alpha: float = 1.702) -> str:
    """x sigmoid(alpha x), as onnxruntime's optimiser writes it."""
    return _swish(rewrite, x, alpha)


@operator("Gelu", kind="population", restrictions=_CURVE)
@operator("Gelu", kind="population", domain="com.microsoft", restrictions=_CURVE)
def gelu(rewrite: Rewrite, x: str, *, approximate: str = "none") -> str:
    """x times the normal distribution function of x."""
    return rewrite.emit("Gelu", x, approximate=approximate)


@operator("Celu", kind="population", restrictions=_CURVE)
def celu(rewrite: Rewrite, x: str, *, alpha: float = 1.0) -> str:
    """max(x, 0) + min(alpha (exp(x / alpha) - 1), 0)."""
    return rewrite.emit("Celu", x, alpha=alpha)


@operator("Elu", kind="population", restrictions=_CURVE)
def elu(rewrite: Rewrite, x: str, *, alpha: float = 1.0) -> str:
    """x above 0, alpha (exp(x) - 1) below."""
    return rewrite.emit("Elu", x, alpha=alpha)


@operator("Selu", kind="population", restrictions=_CURVE)
def selu(
    rewrite: Rewrite, x: str, *, alpha: float = 1.6732632423543772, gamma: float = 1.05070098735548
) -> str:
    """gamma times Elu."""
    return rewrite.emit("Selu", x, alpha=alpha, gamma=gamma)


@operator("ThresholdedRelu", kind="population", restrictions=_CURVE)
def thresholded_relu(rewrite: Rewrite, x: str, *, alpha: float = 1.0) -> str:
    """x above alpha, 0 below."""
    return rewrite.emit("ThresholdedRelu", x, alpha=alpha)


@operator("Pow", kind="population", restrictions=f"one exponent; {_CURVE}")
def pow_(rewrite: Rewrite, x: str, exponent: str) -> str:
    """x to the power of a constant."""
    power = rewrite.constant(exponent, "exponent")
    if power.size != 1:
        raise Refusal("it has several exponents.", "Use one for all elements.")
    if float(power.reshape(-1)[0]) == 1.0:
        return x
    return rewrite.emit("Pow", x, power.reshape(()).astype(np.float32))


def _plain(op: str) -> Handler:
    def handler(rewrite: Rewrite, x: str) -> str:
        return rewrite.emit(op, x)

    return handler


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


_CONDITION = "within a function of one tensor, as the condition of Where"
for _op in sorted(COMPARISONS):
    operator(_op, kind="condition", restrictions=_CONDITION)(_comparison(_op))

for _op in sorted(CURVES - {"Celu", "Elu", "Gelu", "Pow", "Selu", "ThresholdedRelu"}):
    operator(_op, kind="population", restrictions=_CURVE)(_plain(_op))
