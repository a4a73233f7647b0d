"""Arithmetic of one step, where a state may be a constant at first."""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import Node

_FIRST_CLIP_OF_INPUTS = 11
_FIRST_PAD_OF_INPUTS = 11
_FIRST_SPLIT_BY_COUNT = 18

Value = str | np.ndarray
"""A tensor [N, H] by its name, or a constant [1, H]."""


class StepBuilder(Builder):
    """Writes arithmetic of tensors and constants; what is constant is computed.

    Args:
        scope: Beginning of the names of what gets none of its own.
        taken: Names that exist already.
        opset: Version of the standard operators.
        dtype: Type of the tensors.
    """

    def __init__(self, scope: str, taken: Container[str], opset: int, dtype: np.dtype) -> None:
        super().__init__(scope, taken)
        self._opset = opset
        self._dtype = dtype

    def scalar(self, value: float) -> np.ndarray:
        """Return a constant [1, 1]."""
        return np.full((1, 1), value, self._dtype)

    def of(self, x: str, weight: np.ndarray) -> str:
        """Write ``x W^T`` with weights [gates, H, K], the gates side by side."""
        return self.emit("MatMul", x, _matrix(weight))

    def linear(self, x: Value, weight: np.ndarray) -> Value:
        """Write ``x W^T`` of what may be a constant."""
        return self.of(x, weight) if isinstance(x, str) else x @ _matrix(weight)

    def total(self, x: str, *others: Value) -> str:
        """Write a sum; constants are one, and left out where they are zero."""
        fixed = [value for value in others if not isinstance(value, str)]
        total = sum(fixed[1:], fixed[0]) if fixed else self.scalar(0)
        for value in others:
            if isinstance(value, str):
                x = self.emit("Add", x, value)
        return self.emit("Add", x, total) if np.any(total) else x

    def times(self, a: str, b: Value) -> Value:
        """Write a product; one with zero is zero."""
        return self.emit("Mul", a, b) if isinstance(b, str) or b.any() else b

    def weighted(self, x: Value, weight: np.ndarray) -> Value:
        """Write a product with a constant."""
        return self.times(x, weight) if isinstance(x, str) else x * weight

    def scaled(self, x: str, factor: float) -> str:
        """Write a multiple."""
        return x if factor == 1.0 else self.emit("Mul", x, self.scalar(factor))

    def blend(self, share: str, a: Value, b: Value) -> str:
        """Write ``share a + (1 - share) b`` with one product; one of a and b is a tensor."""
        if isinstance(b, str):
            return self.total(b, self.times(share, self.total(self.scaled(b, -1), a)))
        assert isinstance(a, str)
        return self.total(self.emit("Mul", share, self.total(a, -b)), b)

    def clipped(self, x: str, bound: float | None) -> str:
        """Write Clip to plus and minus a bound, if there is one."""
        if bound is None:
            return x
        if self._opset < _FIRST_CLIP_OF_INPUTS:
            return self.emit("Clip", x, min=-bound, max=bound)
        low, high = (self.scalar(value).reshape(()) for value in (-bound, bound))
        return self.emit("Clip", x, low, high)

    def padded(self, x: str, after: list[int]) -> str:
        """Write zeros after the ends of axes, so many on each."""
        pads = [0] * len(after) + after
        if self._opset < _FIRST_PAD_OF_INPUTS:
            return self.emit("Pad", x, pads=pads)
        return self.emit("Pad", x, np.array(pads, np.int64))

    def parts(self, x: str, count: int) -> list[str]:
        """Write a tensor as so many equal parts along its last axis."""
        if count == 1:
            return [x]
        outputs = tuple(f"{x}/{index}" for index in range(count))
        options = {"num_outputs": count} if self._opset >= _FIRST_SPLIT_BY_COUNT else {}
        self.add(
            Node(
                op="Split",
                inputs=(x,),
                outputs=outputs,
                attributes={"axis": 1, **options},
                name=f"{x}/parts",
            )
        )
        return list(outputs)


def _matrix(weight: np.ndarray) -> np.ndarray:
    return weight.reshape(-1, weight.shape[-1]).T.copy()
