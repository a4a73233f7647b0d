"""The forecast: the ANN with its activations rounded to the values that the coding can express."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx

from onnx2genn.data import Inputs, prepare
from onnx2genn.ir.graph import Node, live, to_onnx
from onnx2genn.ir.run import samples_at_once, session

if TYPE_CHECKING:
    from onnx2genn.network import Network

_BATCH = 256
_LOGITS = "forecast/logits"


class Forecast:
    """The answers that a spiking network is expected to give, computed without spikes.

    After each activation a, with s the value of one code (:meth:`Coding.step_value`), n the
    coding's levels, r its rounding and o the population's offset, the ANN gets::

        a <- s clip(floor((a - o) / s + r), 0, n) + o

    and before it the network's bias correction, if it has one.

    For a coding that accumulates and then fires this is what the spiking network computes. For
    any other it leaves out the unevenness of spikes that arrive too early or too late, and what a
    hard reset or a random input loses.
    """

    def __init__(self, network: Network, *, threads: int = 0) -> None:
        """Write the rounded ANN.

        Args:
            network: Network whose coding and thresholds say how to round.
            threads: Threads to use; 0 takes one per core.
        """
        self._network = network
        self._runner = session(rounded(network), threads=threads)

    def logits(self, x: Inputs) -> np.ndarray:
        """Compute the expected readout at the end of its window.

        Args:
            x: Samples as for :meth:`Network.predict`.

        Returns:
            Logits in ANN units, float32 [N, classes].

        Raises:
            DataError: The samples do not fit the model.
        """
        samples = prepare(self._network.model, x)
        size = samples_at_once(self._network.neurons, _BATCH)
        feeds = (samples[start : start + size] for start in range(0, len(samples), size))
        return np.concatenate(
            [self._runner.run([_LOGITS], {self._network.input_name: part})[0] for part in feeds]
        )


def rounded(network: Network) -> onnx.ModelProto:
    """Write the ANN, in its own units, with a rounding after each activation."""
    graph, coding = network.model.graph, network.coding
    steps = {
        item.tensor: coding.step_value(network.thresholds[item.name])
        for item in network.populations
        if not item.pools  # what is largest of rounded values is rounded
    }
    offsets = {item.tensor: network.offsets[item.name] for item in network.populations}
    nodes: list[Node] = []
    constants = dict(graph.constants)

    def round_to(step: np.ndarray, offset: np.ndarray, source: str, output: str) -> None:
        for role, array in (("step", step), ("offset", offset)):
            constants[f"{output}/{role}"] = np.asarray(array, np.float32)[None]
        nodes.extend(_rounding(source, output))

    def corrected(source: str, scope: str) -> str:
        if source not in network.corrections:
            return source
        array = network.corrections[source]
        constants[f"{scope}/correction"] = array.reshape(1, *array.shape)
        nodes.append(
            Node(
                op="Add",
                inputs=(source, f"{scope}/correction"),
                outputs=(f"{scope}/corrected",),
            )
        )
        return f"{scope}/corrected"

    constants["forecast/rounding"] = np.float32(coding.rounding)
    constants["forecast/zero"] = np.float32(0)
    constants["forecast/levels"] = np.float32(coding.levels)
    for node in graph.nodes:
        if node.output not in steps:
            nodes.append(node)
            continue
        activation = f"{node.output}/activation"
        source = corrected(node.inputs[0], activation)
        nodes.append(node.renamed({node.output: activation, node.inputs[0]: source}))
        round_to(steps[node.output], offsets[node.output], activation, node.output)
    logits = corrected(network.model.parts.readout.target, _LOGITS)
    if network.firing_readout:
        step = coding.step_value(network.readout_threshold)
        round_to(step, np.zeros_like(step), logits, _LOGITS)
    else:
        nodes.append(Node(op="Identity", inputs=(logits,), outputs=(_LOGITS,)))
    used, constants = live(nodes, constants, [_LOGITS])
    return to_onnx(used, constants, graph.inputs, {_LOGITS: None})


def _rounding(source: str, output: str) -> list[Node]:
    """Write ``output = s clip(floor((source - o) / s + r), 0, n) + o``."""
    chain = [
        ("Sub", (f"{output}/offset",)),
        ("Div", (f"{output}/step",)),
        ("Add", ("forecast/rounding",)),
        ("Floor", ()),
        ("Clip", ("forecast/zero", "forecast/levels")),
        ("Mul", (f"{output}/step",)),
        ("Add", (f"{output}/offset",)),
    ]
    nodes = []
    for index, (op, operands) in enumerate(chain, start=1):
        result = output if index == len(chain) else f"{output}/rounding_{index}"
        nodes.append(Node(op=op, inputs=(source, *operands), outputs=(result,)))
        source = result
    return nodes
