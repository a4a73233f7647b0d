"""A network as a plan: its neurons placed in time, its projections lowered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx2genn.backends.genn.equations import (
    function_constants,
    multiplying,
    neuron_code,
    relays,
)
from onnx2genn.backends.genn.lowering.projection import lower, lower_pool
from onnx2genn.backends.genn.memory import require
from onnx2genn.backends.genn.plan import INPUT, READOUT, Neurons, Plan, Projection
from onnx2genn.coding import Coding
from onnx2genn.data.events import MOST
from onnx2genn.ir.graph import Node
from onnx2genn.ir.matrices import count_products, factors, sums
from onnx2genn.ir.partition import Population
from onnx2genn.ir.segment import Segment

if TYPE_CHECKING:
    from onnx2genn.network import Network

# Of a neuron for a product: its state and constants, and three synapses while they are composed.
_BYTES = 256


def make_plan(network: Network) -> Plan:
    """Lower a network.

    Args:
        network: Network to simulate.

    Raises:
        BackendError: A projection would not fit into memory.
    """
    return _Planner(network).plan()


class _Planner:
    """Places the groups of neurons in time and lowers their projections."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._coding: Coding = network.coding
        self._names = {item.tensor: item.name for item in network.populations}
        self._starts = {item.tensor: self._start(item) for item in network.populations}
        self._starts[network.input_name] = self._coding.window_start(-1)

    def plan(self) -> Plan:
        network = self._network
        matrices = [item for item in network.populations if item.multiplies]
        names = ", ".join(item.name for item in matrices)
        require(f"The products of {names}", _BYTES * sum(map(count_products, matrices)))
        groups = []
        if network.spiking_input:
            self._names[network.input_name] = INPUT
            groups.append(self._input())
        for item in network.populations:
            groups += self._matrices(item) if item.multiplies else [self._population(item)]
        groups.append(self._readout())
        # A random input starts before step 0, and so does a readout without neurons before it.
        early = min(0, *(item.start for item in groups))
        shifted = (replace(item, start=item.start - early) for item in groups)
        return Plan(steps=self._coding.steps, neurons=tuple(shifted))

    def _input(self) -> Neurons:
        return Neurons(
            name=INPUT,
            shape=self._network.input_shape,
            code=None,
            weight="1.0",
            start=self._starts[self._network.input_name],
            largest=MOST if self._coding.events else 1,
            signed=self._network.poisson,
        )

    def _start(self, item: Population) -> int:
        """Return the first step in which a population may fire; a relay passes on what arrives."""
        start = (
            self._coding.input_start if relays(self._network, item) else self._coding.window_start
        )
        return start(item.depth)

    def _population(self, item: Population) -> Neurons:
        code = neuron_code(self._network, item)
        return Neurons(
            name=item.name,
            shape=item.shape,
            code=code,
            weight=code.weight,
            start=self._starts[item.tensor],
            ahead=self._starts[item.tensor] - self._coding.input_start(item.depth),
            largest=code.largest,
            signed=code.signed,
            ports=int(np.prod(item.node.attributes["kernel_shape"])) if item.pools else 1,
            operands=item.ports,
            constants=function_constants(self._network, item) if item.is_function else {},
            **self._fed_by(
                self._network.segment_in_units(item),
                item.depth,
                self._network.port_segments(item) if item.ports > 1 else (),
                item.node if item.pools else None,
            ),
        )

    def _matrices(self, item: Population) -> list[Neurons]:
        """Sums of products: a neuron for each product sends it at the end of its sources' window.

        All arrives together in the first step of the window of the neurons that add up.
        """
        arrival, name = self._coding.input_start(item.depth), f"{item.name}_products_"
        joined, *apart = map(self._network.segment_in_ann_units, factors(item))
        code = multiplying(self._coding)
        products = Neurons(
            name=name,
            shape=apart[0].shape,
            code=code,
            weight=code.weight,
            start=arrival,
            largest=code.largest,
            signed=code.signed,
            operands=2,
            hidden=True,
            **self._fed_by(joined, item.depth, apart),
        )
        whole = sums(item)
        (source,) = whole.sources
        code = neuron_code(self._network, item)
        total = Neurons(
            name=item.name,
            shape=item.shape,
            code=code,
            weight=code.weight,
            start=self._starts[item.tensor],
            ahead=self._starts[item.tensor] - arrival,
            largest=code.largest,
            signed=code.signed,
            constants=function_constants(self._network, item),
            segment=whole,
            projections=(Projection(source=name, linear=lower(whole, source), delay=0),),
        )
        return [products, total]

    def _readout(self) -> Neurons:
        """The output: neurons if it fires, else integrators, which start when spikes arrive."""
        network, depth = self._network, self._network.model.parts.depth
        segment = network.readout_in_units()
        code = self._coding.neuron() if network.firing_readout else None
        arrival = self._coding.input_start(depth)
        start = self._coding.window_start(depth) if code else arrival
        return Neurons(
            name=READOUT,
            shape=segment.shape,
            code=code,
            weight=self._coding.neuron().weight,
            start=start,
            ahead=start - arrival,
            **self._fed_by(segment, depth),
        )

    def _fed_by(
        self,
        segment: Segment,
        depth: int,
        ports: Sequence[Segment] = (),
        pool: Node | None = None,
    ) -> dict[str, Any]:
        """Name what feeds neurons: a segment, which has parts of its own for several ports."""
        arrival = self._coding.input_start(depth)
        return {
            "segment": segment,
            "reads_input": next(
                (name for name in segment.sources if name not in self._names), None
            ),
            "projections": tuple(
                Projection(
                    source=self._names[name],
                    linear=lower_pool(part, name, pool) if pool else lower(part, name),
                    delay=arrival - self._starts[name] - 1,
                    port=index,
                )
                for index, part in enumerate(ports or (segment,))
                for name in part.sources
                if name in self._names
            ),
        }
