"""A network as a plan: its neurons placed in time, its projections lowered."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx2genn.backends.genn.equations import (
    function_constants,
    multiplying,
    neuron_code,
    relaying,
)
from onnx2genn.backends.genn.lowering.projection import lower, lower_pool
from onnx2genn.backends.genn.memory import require
from onnx2genn.backends.genn.plan import INPUT, Neurons, Plan, Projection
from onnx2genn.backends.genn.plan import READOUT as READOUT_NAME
from onnx2genn.coding import Coding
from onnx2genn.data.events import MOST
from onnx2genn.ir.graph import Node
from onnx2genn.ir.matrices import count_products, factors, sums
from onnx2genn.ir.partition import Population
from onnx2genn.ir.segment import Segment
from onnx2genn.streams import AUTO
from onnx2genn.streams.layout import Streams
from onnx2genn.streams.relays import READOUT, Relay, cut_off

if TYPE_CHECKING:
    from onnx2genn.network import Network

# Of a neuron for a product: its state and constants, and three synapses while they are composed.
_BYTES = 256


def make_plan(network: Network, relays: str | Collection[str] = AUTO) -> Plan:
    """Lower a network.

    Args:
        network: Network to simulate.
        relays: As of :func:`onnx2genn.streams.layout.make_streams`.

    Raises:
        BackendError: A projection would not fit into memory, or there is no such choice.
    """
    matrices = [item for item in network.populations if item.multiplies]
    names = ", ".join(item.name for item in matrices)
    require(f"The products of {names}", _BYTES * sum(map(count_products, matrices)))
    return _Planner(network, network.streams_with(relays)).plan()


class _Planner:
    """Places the groups of neurons in time and lowers their projections."""

    def __init__(self, network: Network, streams: Streams) -> None:
        self._network = network
        self._coding: Coding = network.coding
        self._streams = streams
        self._arrivals, self._sends = streams.timing.arrivals, streams.timing.sends
        self._names = {item.tensor: item.name for item in network.populations}
        self._names |= {name: item.name for name, item in streams.relays.items()}

    def plan(self) -> Plan:
        network = self._network
        populations = {item.tensor: item for item in network.populations}
        groups = []
        if network.spiking_input:
            self._names[network.input_name] = INPUT
            groups.append(self._input())
        for name in self._arrivals:
            if name in self._streams.relays:
                groups.append(self._relay(self._streams.relays[name]))
            elif name == READOUT:
                groups.append(self._readout())
            elif populations[name].multiplies:
                groups += self._matrices(populations[name])
            else:
                groups.append(self._population(populations[name]))
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
            start=self._sends[self._network.input_name],
            largest=MOST if self._coding.events else 1,
            signed=self._network.poisson,
        )

    def _relay(self, relay: Relay) -> Neurons:
        """Sums on the way; what the input adds to them is a constant of those that they reach."""
        code = relaying(self._coding, at_once=relay.at_once)
        segment = self._network.segment_in_ann_units(relay.segment)
        return Neurons(
            name=relay.name,
            shape=relay.shape,
            code=code,
            weight=code.weight,
            start=self._arrivals[relay.tensor],
            signed=code.signed,
            hidden=True,
            relays=True,
            segment=segment,
            projections=self._projections(relay.tensor, [segment]),
        )

    def _population(self, item: Population) -> Neurons:
        code, start = neuron_code(self._network, item), self._sends[item.tensor]
        return Neurons(
            name=item.name,
            shape=item.shape,
            code=code,
            weight=code.weight,
            start=start,
            ahead=start - self._arrivals[item.tensor],
            largest=code.largest,
            signed=code.signed,
            ports=int(np.prod(item.node.attributes["kernel_shape"])) if item.pools else 1,
            operands=item.ports,
            constants=function_constants(self._network, item) if item.is_function else {},
            projections=self._projections(
                item.tensor, self._maps(item), item.node if item.pools else None
            ),
            **self._entered_by(self._network.segment_in_units(item)),
        )

    def _maps(self, item: Population) -> list[Segment]:
        """Return the map to each port of a population in its units."""
        maps = self._streams.maps[item.tensor]
        if item.ports > 1:
            return [self._network.segment_in_ann_units(part) for part in maps]
        return [self._network.segment_in_units(replace(item, segment=part)) for part in maps]

    def _matrices(self, item: Population) -> list[Neurons]:
        """Sums of products: a neuron for each product sends it at the end of its sources' window.

        All arrives together in the first step of the window of the neurons that add up.
        """
        arrival, name = self._arrivals[item.tensor], f"{item.name}_products_"
        code = multiplying(self._coding)
        joined, *apart = factors(item)
        cut = [cut_off(part, self._streams.relays) for part in apart]
        products = Neurons(
            name=name,
            shape=(count_products(item),),
            code=code,
            weight=code.weight,
            start=arrival,
            largest=code.largest,
            signed=code.signed,
            operands=2,
            hidden=True,
            projections=self._projections(
                item.tensor,
                [self._network.segment_in_ann_units(part) for part in cut],
            ),
            **self._entered_by(self._network.segment_in_ann_units(joined)),
        )
        whole = sums(item)
        (source,) = whole.sources
        code = neuron_code(self._network, item)
        total = Neurons(
            name=item.name,
            shape=item.shape,
            code=code,
            weight=code.weight,
            start=self._sends[item.tensor],
            ahead=self._sends[item.tensor] - arrival,
            largest=code.largest,
            signed=code.signed,
            constants=function_constants(self._network, item),
            segment=whole,
            projections=(Projection(source=name, linear=lower(whole, source), delay=0),),
        )
        return [products, total]

    def _readout(self) -> Neurons:
        """The output: neurons if it fires, else integrators, which start when spikes arrive."""
        network = self._network
        segment = network.readout_in_units()
        code = self._coding.neuron() if network.firing_readout else None
        arrival = self._arrivals[READOUT]
        start = self._sends[READOUT] if code else arrival
        maps = [network.readout_in_units(part) for part in self._streams.maps[READOUT]]
        return Neurons(
            name=READOUT_NAME,
            shape=segment.shape,
            code=code,
            weight=self._coding.neuron().weight,
            start=start,
            ahead=start - arrival,
            projections=self._projections(READOUT, maps),
            **self._entered_by(segment),
        )

    def _entered_by(self, segment: Segment) -> dict[str, Any]:
        """Name the whole map to neurons, and the input that it reads as constants."""
        constant = [name for name in segment.sources if name not in self._names]
        return {"segment": segment, "reads_input": next(iter(constant), None)}

    def _projections(
        self, target: str, maps: Sequence[Segment], pool: Node | None = None
    ) -> tuple[Projection, ...]:
        """Lower what neurons hear at each port, from populations and from relays."""
        return tuple(
            Projection(
                source=self._names[name],
                linear=lower_pool(part, name, pool) if pool else lower(part, name),
                delay=self._arrivals[target] - self._sends[name] - 1,
                port=index,
            )
            for index, part in enumerate(maps)
            for name in part.sources
            if name in self._names
        )
