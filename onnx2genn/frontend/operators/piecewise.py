"""Piecewise linear activations, each with its form of the two that neurons have.

Those are Relu and Clip from 0 to a bound. The form is written late, for within a function of one
tensor each stays the operator that it is.
"""

from __future__ import annotations

import math

import numpy as np

from onnx2genn.frontend.operators.elementwise import aligned
from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.registry import operator

_WIDEST = float(np.finfo(np.float32).max)
_FAR = 2.0**10  # float32 has some digits left of a number that this is added to


@operator(
    "Relu",
    kind="population",
    elementwise=True,
    increasing=True,
    bounded=True,
    output_range=(0.0, math.inf),
    expression="fmax({x}, 0.0)",
)
def relu(rewrite: Rewrite, x: str) -> str:
    """max(x, 0)."""
    return rewrite.emit("Relu", x)


def _clip(rewrite: Rewrite, x: str, low: str | None = None, high: str | None = None) -> str:
    """Clip(x, lo, hi) = lo + Clip(x - lo, 0, hi - lo), and one-sided ones by Relu."""
    least, most = _bounds(rewrite, low, high)
    if least >= most:
        return _plus(rewrite, _times(rewrite, x, 0), most)
    if np.isinf(most) or np.isinf(least) or least < -_FAR:
        above = x if np.isinf(least) else _above(rewrite, x, np.asarray(least, np.float32))
        return above if np.isinf(most) else _below(rewrite, above, np.asarray(most, np.float32))
    clipped = rewrite.emit(
        "Clip", _plus(rewrite, x, -least), np.float32(0), np.float32(most - least)
    )
    return _plus(rewrite, clipped, least)


def _bounds(rewrite: Rewrite, low: str | None, high: str | None) -> tuple[float, float]:
    """Return the bounds of a Clip, infinite where it has none."""
    return (
        -np.inf if low is None else float(rewrite.constant(low, "bound")),
        np.inf if high is None else float(rewrite.constant(high, "bound")),
    )


def _clipped(x: str, low: str = "", high: str = "") -> str:
    above = f"fmax({x}, {low})" if low else x
    return f"fmin({above}, {high})" if high else above


@operator(
    "Clip",
    kind="population",
    restrictions="one bound for all neurons",
    elementwise=True,
    increasing=True,
    expression=_clipped,
    lowered=_clip,
)
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
    """Write a Clip; a bound that no float32 reaches is none, and the upper one wins.

    Raises:
        Refusal: All values are out of a bound, or it is no number.
    """
    low, high = (
        None if bound is None or sign * bound >= _WIDEST else bound
        for bound, sign in ((low, -1), (high, 1))
    )
    given = [np.float32(bound) for bound in (low, high) if bound is not None]
    if not given:
        return x
    _require_numbers(np.array(given))
    if low is not None and high is not None and low >= high:
        return _plus(rewrite, _times(rewrite, x, 0), high)
    if low == 0 and high is None:
        return rewrite.emit("Relu", x)
    limits = ["" if bound is None else np.float32(bound) for bound in (low, high)]
    return rewrite.emit("Clip", x, *limits)


def _require_numbers(bounds: np.ndarray) -> None:
    if not (np.abs(bounds) < _WIDEST).all():
        raise Refusal(
            "one of its bounds is not a number (NaN), or infinity on the wrong side.",
            "Look for it in the trained model, and export it again.",
        )


def _plus(rewrite: Rewrite, x: str, shift: np.ndarray | float) -> str:
    return rewrite.emit("Add", x, np.asarray(shift, np.float32)) if np.any(shift) else x


def _times(rewrite: Rewrite, x: str, factor: np.ndarray | float) -> str:
    return rewrite.emit("Mul", x, np.asarray(factor, np.float32))


def _above(rewrite: Rewrite, x: str, low: np.ndarray) -> str:
    """max(x, lo) = lo + relu(x - lo), or x + relu(lo - x) if x - lo would round x."""
    if np.abs(low).max() <= _FAR:
        return _plus(rewrite, rewrite.emit("Relu", _plus(rewrite, x, -low)), low)
    bounded = low > -_WIDEST
    lacking = _times(rewrite, x, -bounded.astype(np.float32))
    lacking = _plus(rewrite, lacking, np.where(bounded, low, np.float32(0)))
    return rewrite.emit("Add", x, rewrite.emit("Relu", lacking))


def _below(rewrite: Rewrite, x: str, high: np.ndarray) -> str:
    """min(x, hi) = -max(-x, -hi)."""
    return _times(rewrite, _above(rewrite, _times(rewrite, x, -1), -high), -1)


def _leaky(rewrite: Rewrite, x: str, slope: np.ndarray | float) -> str:
    """x above 0, slope x below: relu(x) - slope relu(-x)."""
    positive = rewrite.emit("Relu", x)
    negative = rewrite.emit("Relu", _times(rewrite, x, -1))
    return rewrite.emit("Add", positive, _times(rewrite, negative, -slope))


def _max(rewrite: Rewrite, a: str, b: str) -> str:
    """max(a, b) = a + relu(b - a)."""
    if rewrite.is_constant(b):
        return _above(rewrite, a, rewrite.constant(b, "bound"))
    for x, scaled in ((a, b), (b, a)):
        slope = _slope(rewrite, x, scaled)
        if slope is not None and slope <= 1:
            return _leaky(rewrite, x, slope)
    return rewrite.emit("Add", a, rewrite.emit("Relu", rewrite.minus(b, a)))


def _slope(rewrite: Rewrite, x: str, scaled: str) -> float | None:
    """Return s where ``scaled`` is s x: max(x, s x) is how some write LeakyRelu."""
    node = rewrite.producer(scaled)
    if node is None or node.op != "Mul" or node.inputs[0] != x:
        return None
    if not rewrite.is_constant(node.inputs[1]):
        return None
    factor = rewrite.constant(node.inputs[1], "factor")
    return float(factor.reshape(-1)[0]) if factor.size == 1 else None


def _min(rewrite: Rewrite, a: str, b: str) -> str:
    """min(a, b) = a - relu(a - b)."""
    if rewrite.is_constant(b):
        return _below(rewrite, a, rewrite.constant(b, "bound"))
    return rewrite.minus(a, rewrite.emit("Relu", rewrite.minus(a, b)))


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
        _require_numbers(bound[bound > -_WIDEST] if op == "Max" else bound[bound < _WIDEST])
        return rewrite.emit(op, x, bound)
    value = float(bound.reshape(-1)[0])
    return clamp(rewrite, x, value, None) if op == "Max" else clamp(rewrite, x, None, value)


@operator("Max", kind="population", elementwise=True, expression="fmax({x}, {y})", lowered=_max)
def max_(rewrite: Rewrite, *inputs: str) -> str:
    """Largest operand; max(a, b) = a + relu(b - a)."""
    return _extreme(rewrite, "Max", inputs)


@operator("Min", kind="population", elementwise=True, expression="fmin({x}, {y})", lowered=_min)
def min_(rewrite: Rewrite, *inputs: str) -> str:
    """Smallest operand; min(a, b) = a - relu(a - b)."""
    return _extreme(rewrite, "Min", inputs)


@operator(
    "LeakyRelu",
    kind="population",
    elementwise=True,
    increasing=True,
    expression="({x} < 0.0) ? {alpha} * {x} : {x}",
    lowered=lambda rewrite, x, alpha: _leaky(rewrite, x, alpha),
)
def leaky_relu(rewrite: Rewrite, x: str, *, alpha: float = 0.01) -> str:
    """relu(x) - alpha relu(-x)."""
    return rewrite.emit("LeakyRelu", x, alpha=alpha)


@operator(
    "PRelu",
    kind="population",
    elementwise=True,
    expression="({x} < 0.0) ? {y} * {x} : {x}",
    lowered=lambda rewrite, x, slope: _leaky(rewrite, x, rewrite.constant(slope, "slope")),
)
def p_relu(rewrite: Rewrite, x: str, slope: str) -> str:
    """relu(x) - slope relu(-x)."""
    return rewrite.emit("PRelu", x, aligned(rewrite, slope, x))


@operator(
    "Abs",
    kind="population",
    elementwise=True,
    expression="fabs({x})",
    lowered=lambda rewrite, x: _leaky(rewrite, x, -1.0),
)
def abs_(rewrite: Rewrite, x: str) -> str:
    """relu(x) + relu(-x)."""
    return rewrite.emit("Abs", x)


def _hard_sigmoid(rewrite: Rewrite, x: str, *, alpha: float, beta: float) -> str:
    shifted = _plus(rewrite, _times(rewrite, x, alpha), beta)
    return rewrite.emit("Clip", shifted, np.float32(0), np.float32(1))


@operator(
    "HardSigmoid",
    kind="population",
    elementwise=True,
    increasing=True,
    expression="fmin(fmax({alpha} * {x} + {beta}, 0.0), 1.0)",
    output_range=(0.0, 1.0),
    lowered=_hard_sigmoid,
)
def hard_sigmoid(rewrite: Rewrite, x: str, *, alpha: float = 0.2, beta: float = 0.5) -> str:
    """min(max(alpha x + beta, 0), 1)."""
    return rewrite.emit("HardSigmoid", x, alpha=alpha, beta=beta)
