"""A network as a plan: its neurons placed in time, its projections lowered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx2genn.backends.genn.functions import expression, varying
from onnx2genn.backends.genn.lowering.projection import lower, lower_pool
from onnx2genn.backends.genn.plan import INPUT, READOUT, Neurons, Plan, Projection
from onnx2genn.coding import Coding
from onnx2genn.coding.neuron import NeuronCode
from onnx2genn.ir.partition import Population
from onnx2genn.ir.segment import Segment

if TYPE_CHECKING:
    from onnx2genn.network import Network


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
        groups = []
        if network.poisson:
            self._names[network.input_name] = INPUT
            groups.append(self._input())
        groups += [self._population(item) for item in network.populations]
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
            signed=True,
        )

    def _start(self, item: Population) -> int:
        """Return the first step in which a population may fire; a relay passes on what arrives."""
        start = (
            self._coding.input_start if _relays(self._network, item) else self._coding.window_start
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
            constants=_function_constants(self._network, item) if item.is_function else {},
            **self._fed_by(self._network.segment_in_units(item), item.depth, item),
        )

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
        self, segment: Segment, depth: int, population: Population | None = None
    ) -> dict[str, Any]:
        arrival = self._coding.input_start(depth)
        pool = population.node if population is not None and population.pools else None
        apart: tuple[Segment, ...] = (segment,)
        if population is not None and population.ports > 1:
            apart = self._network.port_segments(population)
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
                for index, part in enumerate(apart)
                for name in part.sources
                if name in self._names
            ),
        }


def neuron_code(network: Network, population: Population) -> NeuronCode:
    """Return the equation of a population.

    What arrives in a max pooling is by how much the largest of its ports has grown. Neurons that
    accumulate first then send it as any other sum; others pass it on at once. Neurons that send a
    function accumulate its argument in ANN units.
    """
    code = network.coding.neuron()
    if _relays(network, population):
        return replace(_RELAY, largest=code.largest, signed=code.signed)
    if not population.is_function:
        return code
    if population.ports > 1:
        code, arguments = _apart(code, population.ports)
    else:
        arguments = [code.collected]
    value = expression(population, arguments)
    return replace(code, collected=f"({value} - {_OFFSET}) / {_UNIT}")


def _apart(code: NeuronCode, count: int) -> tuple[NeuronCode, list[str]]:
    """Let a neuron collect several sums; return their expressions, too."""
    ports = range(count)
    resets = " ".join(f"sum_{index} = 0.0;" for index in ports)
    adds = " ".join(f"sum_{index} += arrived_{index} * weight;" for index in ports)
    apart = replace(
        code,
        variables=(*code.variables, *(f"sum_{index}" for index in ports)),
        begin=f"{code.begin} {resets}",
        step=f"{adds} {code.step}",
    )
    return apart, [f"sum_{index} + bias_{index}" for index in ports]


def _relays(network: Network, population: Population) -> bool:
    """Whether a population sends at once what arrives: a max pooling of stepwise spikes."""
    return population.pools and not network.coding.accumulates


def _function_constants(network: Network, population: Population) -> dict[str, np.ndarray]:
    return {
        **{name: values for name, (_, values) in varying(population).items()},
        _OFFSET: network.offsets[population.name],
        _UNIT: network.units[population.tensor],
    }


_OFFSET, _UNIT = "offset", "unit"
_RELAY = NeuronCode(variables=(), begin="", step="S = arrived;")
