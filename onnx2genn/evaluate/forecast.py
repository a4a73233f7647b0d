"""The forecast: the ANN with its activations rounded to the values that the coding can express."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import onnx

from onnx2genn.data import Inputs
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.functions import may_be_undefined
from onnx2genn.ir.graph import live, to_onnx
from onnx2genn.ir.parallel import ParallelRunner
from onnx2genn.ir.ports import without_stacks

if TYPE_CHECKING:
    from onnx2genn.network import Network

_LOGITS = "forecast/logits"


class Forecast:
    """The answers that a spiking network is expected to give, computed without spikes.

    After each activation a, with n the code of a - o by the coding's quantiser, s the value of a
    code of 1 and o the population's offset, the ANN gets::

        a <- s n + o

    and before it the network's bias correction, if it has one.

    For a coding that accumulates and then fires this is what the spiking network computes. For
    any other it leaves out the unevenness of spikes that arrive too early or too late, and what a
    hard reset or a random input loses.
    """

    def __init__(self, network: Network, tensors: Sequence[str] = (), *, threads: int = 0) -> None:
        """Write the rounded ANN.

        Args:
            network: Network whose coding and thresholds say how to round.
            tensors: Tensors of populations whose rounded activations are wanted, too.
            threads: Threads to use; 0 takes one per core.
        """
        self._network = network
        self._tensors = list(tensors)
        self._runner = ParallelRunner(
            partial(rounded, network, tensors),
            at_once=network.model.samples_in_cache,
            threads=threads or None,
        )

    def logits(self, x: Inputs) -> np.ndarray:
        """Compute the expected readout at the end of its window.

        Args:
            x: Samples as for :meth:`Network.predict`.

        Returns:
            Logits in ANN units, float32 [N, classes].

        Raises:
            DataError: The samples do not fit the model.
        """
        samples = self._network.model.summed(self._network.prepare(x))
        return self._runner({self._network.input_name: samples}, [_LOGITS])[_LOGITS]

    def activations(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        """Compute the rounded activations of the tensors that were asked for, [N, ...]."""
        return self._runner({self._network.input_name: samples}, self._tensors)


def rounded(network: Network, tensors: Sequence[str] = ()) -> onnx.ModelProto:
    """Write the ANN, in its own units, with a rounding after each activation."""
    graph = network.model.graph
    # What is largest of rounded values is rounded.
    rounding = {item.tensor: item for item in network.populations if not item.pools}
    builder = Builder("forecast", taken={*graph.constants, *graph.shapes})
    for node in graph.nodes:
        population = rounding.get(node.output)
        if population is None:
            builder.add(node)
            continue
        source = _corrected(builder, network, node.inputs[0])
        exact = f"{node.output}/activation"
        builder.add(node.renamed({node.output: exact, node.inputs[0]: source}))
        quantiser = network.coding_of(population).quantiser
        step = quantiser.step_value(network.thresholds[population.name])
        offset = network.offsets[population.name]
        unsure = population.is_function and may_be_undefined(population.node)
        code = quantiser.write(builder, exact, step, offset, may_be_undefined=unsure)
        _decode(builder, code, step, offset, node.output)
    logits = _corrected(builder, network, network.model.parts.readout.target)
    if network.firing_readout:
        quantiser = network.coding.quantiser
        step = quantiser.step_value(network.readout_threshold)
        code = quantiser.write(builder, logits, step, np.zeros_like(step))
        _decode(builder, code, step, np.zeros_like(step), _LOGITS)
    else:
        builder.emit("Identity", logits, output=_LOGITS)
    outputs = [_LOGITS, *tensors]
    constants = {**graph.constants, **builder.constants}
    nodes = without_stacks(builder.nodes, constants, graph.shapes, outputs)
    nodes, constants = live(nodes, constants, outputs)
    return to_onnx(nodes, constants, graph.inputs, dict.fromkeys(outputs))


def _corrected(builder: Builder, network: Network, source: str) -> str:
    """Add the bias correction of a tensor, if it has one."""
    correction = network.corrections.get(source)
    return source if correction is None else builder.emit("Add", source, correction[None])


def _decode(builder: Builder, code: str, step: np.ndarray, offset: np.ndarray, output: str) -> None:
    """Write the value that a code stands for."""
    above = builder.emit("Mul", code, np.asarray(step, np.float32)[None])
    builder.emit("Add", above, np.asarray(offset, np.float32)[None], output=output, name="")
