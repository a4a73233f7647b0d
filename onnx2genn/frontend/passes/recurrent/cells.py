"""One step of an LSTM, a GRU or an RNN, by the equations of the ONNX specification."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from onnx2genn.frontend.passes.recurrent.activations import Activation
from onnx2genn.frontend.passes.recurrent.steps import StepBuilder, Value
from onnx2genn.ir.graph import Node

States = tuple[Value, ...]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The weights and options of one direction; gates are in the order of the specification.

    Attributes:
        weight: Weights of the input, [gates, H, I].
        recurrence: Weights of the state, [gates, H, H].
        bias: Biases of the input and of the state, [2, gates, H].
        peephole: Weights of an LSTM's cell for its gates, [3, H]; None if it has none.
        activations: Its activations.
        clip: Bound of what its activations get.
        reset_last: Whether a GRU multiplies with its reset gate after the weights.
        coupled: Whether an LSTM forgets as much as it takes in.
    """

    weight: np.ndarray
    recurrence: np.ndarray
    bias: np.ndarray
    peephole: np.ndarray | None
    activations: Sequence[Activation]
    clip: float | None
    reset_last: bool
    coupled: bool

    def gates(
        self,
        steps: StepBuilder,
        x: str,
        h: Value,
        which: Sequence[int],
        *others: Value,
        activation: int = 0,
    ) -> list[str]:
        """Write ``f(x W^T + h R^T + b + others)`` for some gates, which are neurons together."""
        chosen = list(which)
        total = steps.total(
            steps.of(x, self.weight[chosen]),
            steps.linear(h, self.recurrence[chosen]),
            self.bias[:, chosen].sum(axis=0).reshape(1, -1),
            *others,
        )
        return steps.parts(self.activate(steps, total, activation), len(chosen))

    def activate(self, steps: StepBuilder, x: str, which: int) -> str:
        """Write one of its activations, of what is clipped."""
        return self.activations[which].write(steps, steps.clipped(x, self.clip))


def lstm(steps: StepBuilder, cell: Cell, x: str, states: States) -> States:
    """Write one step of an LSTM.

    Args:
        steps: What writes it.
        cell: Its weights, with gates i, o, f, c.
        x: Its input, [N, I].
        states: h and c, [N, H] each.
    """
    h, c = states
    forgets = not cell.coupled and (isinstance(c, str) or c.any())
    if cell.peephole is None:
        i, o, *f = cell.gates(steps, x, h, (0, 1, 2) if forgets else (0, 1))
    else:
        of_i, of_o, of_f = cell.peephole[:, None]
        (i,) = cell.gates(steps, x, h, [0], steps.weighted(c, of_i))
        f = cell.gates(steps, x, h, [2], steps.weighted(c, of_f)) if forgets else []
    (g,) = cell.gates(steps, x, h, [3], activation=1)
    if cell.coupled:
        c = steps.blend(i, g, c)
    else:
        c = steps.total(steps.emit("Mul", i, g), *(steps.times(share, c) for share in f))
    if cell.peephole is not None:
        (o,) = cell.gates(steps, x, h, [1], steps.weighted(c, of_o))
    return steps.emit("Mul", o, cell.activations[2].write(steps, c)), c


def gru(steps: StepBuilder, cell: Cell, x: str, states: States) -> States:
    """Write one step of a GRU; its gates are z, r, h, its state is h."""
    (h,) = states
    resets = cell.reset_last or isinstance(h, str) or bool(h.any())
    z, *r = cell.gates(steps, x, h, (0, 1) if resets else (0,))
    weight, recurrence = cell.weight[[2]], cell.recurrence[[2]]
    of_input, of_state = cell.bias[:, 2:3]
    if cell.reset_last:
        state = steps.linear(h, recurrence)
        state = steps.total(state, of_state) if isinstance(state, str) else state + of_state
        inner = steps.times(r[0], state)
        others = [inner, of_input]
    else:
        inner = steps.times(r[0], h) if resets else h
        others = [steps.linear(inner, recurrence), of_input + of_state]
    new = cell.activate(steps, steps.total(steps.of(x, weight), *others), 1)
    return (steps.blend(z, h, new),)


def rnn(steps: StepBuilder, cell: Cell, x: str, states: States) -> States:
    """Write one step of a simple recurrent network, whose state is h."""
    return tuple(cell.gates(steps, x, states[0], [0]))


@dataclass(frozen=True, slots=True)
class Kind:
    """A recurrent operator: how many gates and states it has, what it does, its activations."""

    gates: int
    states: int
    step: Callable[[StepBuilder, Cell, str, States], States]
    activations: tuple[str, ...]


KINDS = {
    "LSTM": Kind(4, 2, lstm, ("Sigmoid", "Tanh", "Tanh")),
    "GRU": Kind(3, 1, gru, ("Sigmoid", "Tanh")),
    "RNN": Kind(1, 1, rnn, ("Tanh",)),
}


def is_recurrent(node: Node) -> bool:
    """Whether a node is one of these operators."""
    return node.op in KINDS and not node.domain
