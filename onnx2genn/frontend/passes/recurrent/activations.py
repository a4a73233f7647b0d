"""The activations that the specification names for LSTM, GRU and RNN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnx2genn.frontend.passes.recurrent.steps import StepBuilder

# Attributes alpha and beta with the values that onnxruntime gives them where the file has none.
_PARAMETERS: Mapping[str, Mapping[str, float]] = {
    "Affine": {"alpha": 1.0, "beta": 0.0},
    "Elu": {"alpha": 1.0},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "LeakyRelu": {"alpha": 0.01},
    "Relu": {},
    "ScaledTanh": {"alpha": 0.0, "beta": 0.0},
    "Sigmoid": {},
    "Softplus": {},
    "Softsign": {},
    "Tanh": {},
    "ThresholdedRelu": {"alpha": 0.0},
}


@dataclass(frozen=True, slots=True)
class Activation:
    """An activation with its parameters."""

    op: str
    parameters: Mapping[str, float]

    def write(self, builder: StepBuilder, x: str) -> str:
        """Write it and return its output."""
        alpha, beta = (self.parameters.get(key, 0.0) for key in ("alpha", "beta"))
        if self.op == "Affine":
            return builder.total(builder.scaled(x, alpha), builder.scalar(beta))
        if self.op == "ScaledTanh":
            return builder.scaled(builder.emit("Tanh", builder.scaled(x, beta)), alpha)
        return builder.emit(self.op, x, **dict[str, Any](self.parameters))


def activations(
    names: Sequence[str], alphas: Sequence[float], betas: Sequence[float]
) -> list[Activation]:
    """Give activations their parameters: each takes the next of those that it has.

    Args:
        names: Their names.
        alphas: Values of alpha, for those that have it.
        betas: Values of beta, for those that have it.
    """
    given: dict[str, Iterator[float]] = {"alpha": iter(alphas), "beta": iter(betas)}
    return [
        Activation(op, {key: next(given[key], value) for key, value in _PARAMETERS[op].items()})
        for op in names
    ]
