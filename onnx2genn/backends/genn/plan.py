"""What is to be simulated, in numbers and text: neurons, their timing and their projections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx2genn.backends.genn.functions import expression
from onnx2genn.backends.genn.lowering.projection import Linear, lower, lower_pool, neuron_order
from onnx2genn.coding import Coding
from onnx2genn.coding.neuron import NeuronCode
from onnx2genn.ir.graph import Node, Shape
from onnx2genn.ir.partition import Population
from onnx2genn.ir.run import Runner
from onnx2genn.ir.segment import Segment

if TYPE_CHECKING:
    from onnx2genn.network import Network

# Names of populations neither start nor end with an underscore.
INPUT = "input_"
READOUT = "readout_"


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Spikes of one group of neurons on their way to another.

    Attributes:
        source: Name of the neurons that they come from.
        linear: Their weights.
        delay: Steps of delay beyond the one step that every spike takes.
    """

    source: str
    linear: Linear
    delay: int


@dataclass(frozen=True, kw_only=True)
class Neurons:
    """A group of neurons with one equation.

    Attributes:
        name: Unique name, a C identifier.
        shape: Shape of the ONNX tensor that they stand for, without the batch.
        code: Their equation; None for a readout that only integrates, and for random input.
        weight: What an arriving spike is worth, as :attr:`NeuronCode.weight`.
        start: First step of their first window.
        ahead: Steps before it in which the first input arrives.
        segment: Affine map that feeds them, in units; None for random input.
        reads_input: Network input whose samples the segment reads as constants, or None.
        projections: Where their spikes come from.
        graded: Whether their own spikes carry a value.
        ports: Inputs that a neuron keeps apart: the elements of the window of a max pooling, of
            whose sums only the largest counts.
        constants: Values that the equation reads under these names; they broadcast to the shape.
    """

    name: str
    shape: Shape
    code: NeuronCode | None
    weight: str
    start: int
    ahead: int = 0
    segment: Segment | None = None
    reads_input: str | None = None
    projections: tuple[Projection, ...] = ()
    graded: bool = False
    ports: int = 1
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape, dtype=np.int64))

    @cached_property
    def order(self) -> np.ndarray:
        """Element of the ONNX tensor that each neuron is."""
        return neuron_order(self.shape)

    @cached_property
    def position(self) -> np.ndarray:
        """Neuron that each element of the ONNX tensor is."""
        return np.argsort(self.order)

    @property
    def is_fed(self) -> bool:
        """Whether the host sets the current of every sample."""
        return self.code is not None and self.reads_input is not None

    @property
    def results(self) -> tuple[str, ...]:
        """Variables that hold what the current window gave so far; the value first."""
        if self.segment is None:
            return ()
        if self.code is None:
            return ("V",)
        return ("code", "spikes") if self.code.graded else ("code",)

    def in_onnx_order(self, values: np.ndarray) -> np.ndarray:
        """Turn values of the neurons, [N, neurons], into ONNX tensors, [N, *shape]."""
        return values[:, self.position].reshape(-1, *self.shape)

    def currents(self, samples: np.ndarray | None) -> np.ndarray:
        """Return what arrives without any spike: f of the samples, or f(0) once, [N, *shape]."""
        assert self.segment is not None
        count = 1 if samples is None or not self.reads_input else len(samples)
        feeds = {
            name: np.zeros((count, *self.segment.shapes[name]), np.float32)
            for name in self.segment.sources
        }
        if self.reads_input and samples is not None:
            feeds[self.reads_input] = samples
        return self._runner(feeds)[self.segment.target]

    @cached_property
    def _runner(self) -> Runner:
        assert self.segment is not None
        return Runner(self.segment.to_onnx())


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A network as a simulator of spikes sees it.

    Attributes:
        steps: T, the period in which samples follow each other.
        neurons: Groups in topological order; random input first, the readout last.
    """

    steps: int
    neurons: tuple[Neurons, ...]
    by_name: dict[str, Neurons] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {item.name: item for item in self.neurons})

    @property
    def readout(self) -> Neurons:
        """The output neurons."""
        return self.neurons[-1]


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
            graded=True,
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
            graded=code.graded,
            ports=int(np.prod(item.node.attributes["kernel_shape"])) if item.pools else 1,
            constants=_function_constants(self._network, item) if item.is_function else {},
            **self._fed_by(
                self._network.segment_in_units(item), item.depth, item.node if item.pools else None
            ),
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

    def _fed_by(self, segment: Segment, depth: int, pool: Node | None = None) -> dict[str, Any]:
        arrival = self._coding.input_start(depth)
        return {
            "segment": segment,
            "reads_input": next(
                (name for name in segment.sources if name not in self._names), None
            ),
            "projections": tuple(
                Projection(
                    source=self._names[name],
                    linear=lower_pool(segment, name, pool) if pool else lower(segment, name),
                    delay=arrival - self._starts[name] - 1,
                )
                for name in segment.sources
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
        return replace(_RELAY, graded=code.graded)
    if population.is_function:
        value = expression(population, code.collected)
        return replace(code, collected=f"({value} - {_OFFSET}) / {_UNIT}")
    return code


def _relays(network: Network, population: Population) -> bool:
    """Whether a population sends at once what arrives: a max pooling of stepwise spikes."""
    return population.pools and not network.coding.accumulates


def _function_constants(network: Network, population: Population) -> dict[str, np.ndarray]:
    return {
        _OFFSET: network.offsets[population.name],
        _UNIT: network.units[population.tensor],
    }


_OFFSET, _UNIT = "offset", "unit"
_RELAY = NeuronCode(variables=(), begin="", step="S = arrived;")
