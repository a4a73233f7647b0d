"""How a neuron rounds what it collects: the one place from which everything takes it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx2genn.ir.builder import Builder


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantiser:
    """The levels that the codes of a window can express.

    With θ the threshold of a population and s = θ / parts, a value a has the code::

        n = clip(floor(a / s + rounding), 0, levels)

    and a code n stands for the value n s. Where only some codes occur, n then goes to the nearest
    of them, half way to the larger one.

    Attributes:
        levels: Largest code.
        parts: Steps s that make up a threshold.
        rounding: Fraction of a step that rounding down adds first; one half rounds to the nearest.
        codes: The codes that occur, ascending from 0 to ``levels``; none if all of these do.
    """

    levels: int
    parts: int
    rounding: float = 0.5
    codes: tuple[int, ...] = ()

    def step_value(self, threshold: np.ndarray) -> np.ndarray:
        """Return s, in the units of the threshold."""
        return threshold / self.parts

    def code(self, steps: np.ndarray) -> np.ndarray:
        """Return the codes, as whole numbers in float, of values in units of s."""
        whole = np.clip(np.floor(steps + self.rounding), 0, self.levels)
        if np.isnan(whole.max(initial=0)):  # has the code 0, as in the neuron's own text
            whole = np.where(np.isnan(whole), np.float32(0), whole)
        return _nearest(self.codes)[whole.astype(np.int32)] if self.codes else whole

    def quantise(self, values: np.ndarray, threshold: np.ndarray) -> np.ndarray:
        """Round values to those that codes stand for."""
        step = self.step_value(threshold)
        return self.code(values / step) * step

    def expression(self, steps: str) -> str:
        """Write the code of a value in units of s for a neuron's text, as if all codes occurred."""
        return f"fmin(fmax(floor({steps} + {float(self.rounding)}), 0.0), {float(self.levels)})"

    def write(
        self,
        builder: Builder,
        values: str,
        step: np.ndarray,
        offset: np.ndarray,
        output: str | None = None,
        *,
        may_be_undefined: bool = False,
    ) -> str:
        """Write nodes for the code of ``values - offset``; return its name.

        Args:
            builder: Where the nodes go.
            values: Tensor [N, ...].
            step: s, in a shape that broadcasts to that of a sample.
            offset: In the same way; the value that the code 0 stands for.
            output: Name of the result; a free one if None.
            may_be_undefined: Whether the values are those of a function that may have none, as the
                root of -1: such a neuron does not fire, and the code is 0.
        """
        if not may_be_undefined:
            # A factor and a shift, which onnxruntime takes into the convolution before.
            scaled = builder.emit("Mul", values, np.asarray(1 / step, np.float32)[None])
            start = np.float64(self.rounding) - np.divide(offset, step, dtype=np.float64)
            raised = builder.emit("Add", scaled, np.asarray(start, np.float32)[None])
            return self.write_raised(builder, raised, output)
        above = builder.emit("Sub", values, np.asarray(offset, np.float32)[None])
        steps = builder.emit("Div", above, np.asarray(step, np.float32)[None])
        raised = builder.emit("Add", steps, np.float32(self.rounding))
        undefined = builder.emit("IsNaN", raised)
        raised = builder.emit("Where", undefined, np.float32(0), raised)
        return self.write_raised(builder, raised, output)

    def write_raised(self, builder: Builder, raised: str, output: str | None = None) -> str:
        """Write the code of values in units of s to which the rounding is added already.

        They are clipped first, which onnxruntime does within a convolution. The last node has no
        name: the activation whose tensor it computes may have that.
        """
        clipped = builder.emit("Clip", raised, np.float32(0), np.float32(self.levels))
        if not self.codes:
            return builder.emit("Floor", clipped, output=output, name="")
        from onnx import TensorProto

        # The fraction is cut off.
        whole = builder.emit("Cast", clipped, to=TensorProto.INT32)
        return builder.emit("Gather", _nearest(self.codes), whole, output=output, name="")


@lru_cache(maxsize=4)
def _nearest(codes: tuple[int, ...]) -> np.ndarray:
    """Return the nearest code that occurs for each whole number, float32 [levels + 1]."""
    found = np.array(codes, np.float32)
    bounds = (found[1:] + found[:-1]) / 2
    return found[np.searchsorted(bounds, np.arange(codes[-1] + 1), side="right")]
