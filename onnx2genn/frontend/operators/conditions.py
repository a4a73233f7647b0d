"""Comparisons, what joins them, and choices between two tensors.

A condition has no spiking form of its own, but the function that is 1 where it holds has.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnx2genn.frontend.operators.elementwise import aligned, sub
from onnx2genn.frontend.rewrite import Refusal, Rewrite
from onnx2genn.ir.registry import Handler, operator

CONDITION = (
    "it compares values that are computed from the network's input.",
    "A condition has no spiking form but in a Where, or as numbers, of a comparison of two tensors "
    "or of several comparisons of one.",
)
_WITHIN = "as the condition of Where, or cast to a number"


def _comparison(op: str) -> Handler:
    def handler(rewrite: Rewrite, a: str, b: str) -> str:
        """Compare with numbers as it is, else the difference with 0."""
        operands = _numbers(rewrite, a, b)
        if rewrite.is_function() and not any(np.size(item) > 1 for item in operands):
            return rewrite.emit(op, *operands)
        return rewrite.emit(op, sub(rewrite, a, b), np.float32(0))

    return handler


def _numbers(rewrite: Rewrite, *names: str) -> list[str | np.ndarray]:
    return [rewrite.constant(x, "operand") if rewrite.is_constant(x) else x for x in names]


def _joint(op: str) -> Handler:
    def handler(rewrite: Rewrite, *operands: str) -> str:
        if not rewrite.is_function():
            raise Refusal(*CONDITION)
        return rewrite.emit(op, *_numbers(rewrite, *operands))

    return handler


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
for _op, _expression in {
    "And": "({x}) && ({y})",
    "Not": "!({x})",
    "Or": "({x}) || ({y})",
    "Xor": "({x}) != ({y})",
}.items():
    operator(_op, kind="condition", restrictions=_WITHIN, expression=_expression)(_joint(_op))


@operator(
    "Where",
    restrictions="a condition of one tensor, or of a comparison of two",
    elementwise=True,
    expression="({x}) ? {y} : {z}",
)
def where(rewrite: Rewrite, condition: str, a: str, b: str) -> str:
    """A where the condition holds, B elsewhere."""
    if rewrite.is_constant(condition):
        mask = aligned(rewrite, condition, rewrite.node.output, "condition") != 0
        return _masked(rewrite, mask, (a, b))
    if rewrite.is_function():
        return rewrite.emit("Where", condition, *_numbers(rewrite, a, b))
    if not rewrite.is_condition(condition):
        rewrite.constant(condition, "condition")  # which refuses it
    return _chosen(rewrite, condition, (a, b))


def _masked(rewrite: Rewrite, mask: np.ndarray, cases: Sequence[str]) -> str:
    """Write a sum of masked operands."""
    parts: list[str | np.ndarray] = []
    for name, part in zip(cases, (mask, ~mask), strict=True):
        if rewrite.is_constant(name):
            values = aligned(rewrite, name, rewrite.node.output)
            values = np.where(part, values, np.float32(0))
            parts.append(np.broadcast_to(values, (1, *rewrite.output_shape)).copy())
        else:
            parts.append(rewrite.emit("Mul", name, part.astype(np.float32)))
    parts.sort(key=lambda part: not isinstance(part, str))
    return rewrite.emit("Add", *parts)


def _chosen(rewrite: Rewrite, condition: str, cases: Sequence[str]) -> str:
    """Write a sum of operands times what is 1 where they are chosen, and 0 elsewhere."""
    total: str | None = None
    for index, name in enumerate(cases):
        keep = [np.float32(1 - index), np.float32(index)]
        if rewrite.is_constant(name):
            values = aligned(rewrite, name, rewrite.node.output)
            if not np.isfinite(values).all():
                raise Refusal("one of its values is infinite.", "Use a large number instead.")
            if not values.any():
                continue
            part = rewrite.emit("Mul", rewrite.emit("Where", condition, *keep), values)
        else:
            part = _kept(rewrite, condition, name, keep)
        total = part if total is None else rewrite.emit("Add", total, part)
    assert total is not None  # else both were constant, and all was a function
    return total


def _kept(rewrite: Rewrite, condition: str, name: str, keep: Sequence[np.ndarray]) -> str:
    """Write an operand where it is chosen, and 0 elsewhere.

    A quotient is chosen by its divisor, whose reciprocal is infinite where the quotient is not
    wanted, and infinity times 0 is no number.
    """
    node = rewrite.producer(name)
    if node is not None and node.op == "Div" and not rewrite.is_constant(node.inputs[1]):
        top, bottom = node.inputs
        if not rewrite.is_constant(top) and rewrite.share_root(condition, bottom):
            inverse = rewrite.emit("Reciprocal", bottom)
            cases = [inverse if kept else kept for kept in keep]
            return rewrite.emit("Mul", top, rewrite.emit("Where", condition, *cases))
    return rewrite.emit("Mul", name, rewrite.emit("Where", condition, *keep))
