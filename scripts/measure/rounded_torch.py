"""The ANN with rounded activations in torch, for gradients of what ranges do to its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from onnx2genn.ir.graph import Node
from onnx2genn.ir.partition import Population
from onnx2genn.network import Network

STEP, LOW, SHIFT = "step", "low", "shift"
Tensors = dict[str, torch.Tensor]


class Rounded:
    """The ANN with rounded activations, in torch.

    Attributes:
        ranges: Of each population by its tensor, [channels, 1, 1]: the logarithm of what its step
            is multiplied by, and what its lower end and its input are moved by, in steps.

    Args:
        network: Network with thresholds.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._nodes = network.model.graph.nodes
        self._constants = {
            name: torch.from_numpy(np.array(array))
            for name, array in network.model.graph.constants.items()
        }
        self._populations = {item.tensor: item for item in network.populations}
        self._starts = {item.tensor: self._start(item) for item in network.populations}
        self.ranges: dict[str, Tensors] = {
            what: {name: torch.zeros_like(step) for name, (step, _) in self._starts.items()}
            for what in (STEP, LOW, SHIFT)
        }

    def _start(self, item: Population) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the step and the lower end of each channel, [channels, 1, 1]."""
        if item.pools or item.signed or item.is_function or len(item.shape) != 3:
            raise NotImplementedError(f"{item.name!r} is no plain activation of a convolution")
        step = self._network.coding.quantiser.step_value(self._network.thresholds[item.name])
        ends = step, self._network.offsets[item.name]
        shape = (item.shape[0], 1, 1)
        found = [np.broadcast_to(end, shape).astype(np.float32) for end in ends]
        return torch.from_numpy(found[0]), torch.from_numpy(found[1])

    def _ends(self, name: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the step, the lower end and the shift of a population as they are now."""
        step, low = self._starts[name]
        moved = {what: found[name] for what, found in self.ranges.items()}
        low = torch.clamp(low + moved[LOW] * step, min=0.0)
        return step * moved[STEP].exp(), low, moved[SHIFT] * step

    def __call__(self, x: torch.Tensor, *, exact: bool = False) -> torch.Tensor:
        """Compute logits.

        Args:
            x: Samples [N, channels, height, width].
            exact: Whether activations are those of the ANN.
        """
        tensors = {self._network.input_name: x}
        for node in self._nodes:
            item = None if exact else self._populations.get(node.output)
            if item is None:
                tensors[node.output] = run(node, {**self._constants, **tensors})
                continue
            bound = np.inf if item.bound is None else item.bound
            levels = self._network.coding.quantiser.levels
            ends = (end[None] for end in self._ends(node.output))
            tensors[node.output] = Rounding.apply(tensors[node.inputs[0]], *ends, bound, levels)
        return tensors[self._network.model.parts.readout.target]

    def network(self) -> Network:
        """Return the network with the ranges as they are now."""
        parts = self._network.coding.quantiser.parts
        thresholds, offsets, corrections = {}, {}, {}
        with torch.no_grad():
            for item in self._network.populations:
                ends = self._ends(item.tensor)
                step, low, shift = (end.numpy().copy() for end in ends)
                thresholds[item.name], offsets[item.name] = step * np.float32(parts), low
                corrections[item.segment.target] = shift
        return replace(
            self._network, thresholds=thresholds, offsets=offsets, corrections=corrections
        )


def run(node: Node, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Run one canonical operator of a convolutional network."""
    x, *rest = (tensors[name] for name in node.inputs if name)
    attributes = node.attributes
    if node.op == "Conv":
        top, left, bottom, right = attributes["pads"]
        padding: tuple[int, int] = (top, left)
        if (top, left) != (bottom, right):
            x, padding = functional.pad(x, (left, right, top, bottom)), (0, 0)
        found = functional.conv2d(
            x,
            rest[0],
            rest[1] if len(rest) > 1 else None,
            attributes["strides"],
            padding,
            attributes["dilations"],
            attributes["group"],
        )
    elif node.op in ("Clip", "Relu"):
        found = x.clamp(0.0, float(rest[1]) if node.op == "Clip" else None)
    elif node.op == "Add":
        found = x + rest[0]
    elif node.op == "Mul":
        found = x * rest[0]
    elif node.op == "ReduceMean":
        found = x.mean(rest[0].tolist(), keepdim=bool(attributes["keepdims"]))
    elif node.op == "Reshape":
        found = x.flatten(1)
    elif node.op == "MatMul":
        found = x @ rest[0]
    else:
        raise NotImplementedError(f"{node.op} is not written for torch here")
    return found


def _round(
    z: torch.Tensor,
    step: torch.Tensor,
    low: torch.Tensor,
    shift: torch.Tensor,
    bound: float,
    levels: int,
) -> torch.Tensor:
    """Round max(z + shift, 0), cut off at the bound."""
    steps = ((z + shift).clamp(0.0, bound) - low) / step
    return (steps + 0.5).floor().clamp(0, levels) * step + low


def _gradients(
    z: torch.Tensor,
    step: torch.Tensor,
    low: torch.Tensor,
    shift: torch.Tensor,
    gradient: torch.Tensor,
    bound: float,
    levels: int,
) -> tuple[torch.Tensor, ...]:
    """Return the gradients of the first four of what :func:`_round` takes."""
    moved = z + shift
    steps = (moved.clamp(0.0, bound) - low) / step
    code = (steps + 0.5).floor().clamp(0, levels)
    within = torch.where((steps >= -0.5) & (steps < levels + 0.5), gradient, 0.0)
    of_input = torch.where((moved > 0) & (moved < bound), within, 0.0)
    over = (0, 2, 3)
    of_ends = gradient * code - within * steps, gradient - within, of_input
    return of_input, *(part.sum(over, keepdim=True) for part in of_ends)


_fused_round = torch.compile(_round, dynamic=True)
_fused_gradients = torch.compile(_gradients, dynamic=True)


class Rounding(torch.autograd.Function):
    """Rounding with the gradient of learned step sizes (Esser et al. 2020).

    With s the value of a code of 1, n the code and o the lower end of the levels of a::

        d(n s + o) / ds = n - (a - o) / s within the levels, n beyond them
        d(n s + o) / do = 0 within, 1 beyond
        d(n s + o) / da = 1 within, 0 beyond
    """

    @staticmethod
    def forward(
        context: Any,
        z: torch.Tensor,
        step: torch.Tensor,
        low: torch.Tensor,
        shift: torch.Tensor,
        bound: float,
        levels: int,
    ) -> torch.Tensor:
        """Round; see :func:`_round`."""
        context.save_for_backward(z, step, low, shift)
        context.ends = bound, levels
        return _fused_round(z, step, low, shift, bound, levels)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of what was rounded, and of the ranges."""
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        return (*_fused_gradients(*context.saved_tensors, gradient, *context.ends), None, None)
