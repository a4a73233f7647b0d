"""Count operations: multiply-accumulates of the ANN, synaptic operations of the SNN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from onnx2genn.evaluate.result import Projection
from onnx2genn.ir.graph import Graph
from onnx2genn.ir.matrices import count_products
from onnx2genn.ir.partition import Population
from onnx2genn.ir.segment import Segment
from onnx2genn.streams.layout import Streams
from onnx2genn.streams.relays import READOUT, Relay
from onnx2genn.streams.synapses import Targets, node_macs

if TYPE_CHECKING:
    from onnx2genn.network import Network


def macs(graph: Graph) -> int:
    """Count the multiply-accumulates of one forward pass of the ANN.

    Convolutions and matrix products count, with the products at padded borders; element-wise
    operations and pooling do not.

    Args:
        graph: Canonical graph.
    """
    return sum(node_macs(node, graph) for node in graph.nodes)


def current_macs(segment: Segment, entry: str) -> int:
    """Count the multiply-accumulates that turn a constant input into a current, once a sample.

    Args:
        segment: Map to a population or to the readout.
        entry: Name of the network's input.
    """
    reached, found = {entry}, 0
    for node in segment.nodes:
        if not reached.isdisjoint(node.inputs):
            reached.update(node.outputs)
            found += node_macs(node, segment)
    return found


class SynapseCounter:
    """Counts the synaptic operations that spikes cause: one for each spike at each synapse.

    A synapse is an entry of the matrix that a segment is, borders included. Where neurons have to
    be looked at one by one and that would take too long, those are that are drawn with
    probabilities in proportion to their spikes n_i, always the same ones::

        operations = sum_i n_i f_i  ~  sum_i n_i * mean of the fan-out f over those that are drawn

    which is right in the mean, and within a few percent, since neurons of a population differ in
    their fan-out by little.
    """

    def __init__(self, segment: Segment) -> None:
        self._sources = segment.sources
        self._targets = Targets(segment)

    def count(self, spikes: Mapping[str, np.ndarray]) -> float:
        """Count synaptic operations.

        Args:
            spikes: Spikes of every neuron of each source, [*shape]; a source that is not named,
                such as a constant input current, causes none.
        """
        given = {name: spikes[name] for name in self._sources if name in spikes}
        if self._targets.meet:
            return sum(self._one_by_one(name, values.ravel()) for name, values in given.items())
        return self._targets.received(given) if given else 0.0

    def _one_by_one(self, source: str, spikes: np.ndarray) -> float:
        """Count what the spikes of one source cause by the targets of its neurons."""
        firing = np.flatnonzero(spikes)
        if len(firing) <= self._targets.most:
            return float(self._targets.reached(source, firing) @ spikes[firing])
        total = float(spikes.sum())
        chosen = np.random.default_rng(0).choice(len(spikes), self._targets.most, p=spikes / total)
        return total * float(self._targets.reached(source, chosen).mean())


def projections(
    network: Network, streams: Streams, spikes: Mapping[str, np.ndarray]
) -> list[Projection]:
    """Count what each population, each relay and the readout receives, as GeNN simulates it.

    A relay is taken to send whenever it may, and so is a neuron for a product of two elements of
    matrices: once in a window, or in every step.

    Args:
        network: Network that was simulated.
        streams: Its relays.
        spikes: Spikes for one sample of every neuron of each source that spikes, [*shape].

    Returns:
        In an order in which sources come first; the readout is the last.
    """
    counter = _Projections(network, streams, spikes)
    populations = {item.tensor: item for item in network.populations}
    found = []
    for name in streams.timing.arrivals:
        if name in streams.relays:
            found.append(counter.relay(streams.relays[name]))
        elif name in populations:
            found.append(counter.population(populations[name]))
    readout = network.model.parts.readout
    return [*found, counter.received(readout.target, streams.maps[READOUT], readout)]


def caused(
    network: Network, streams: Streams, spikes: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Count the synaptic operations that what each population sends causes where it arrives.

    Args:
        network: Network that was simulated.
        streams: Its relays.
        spikes: Spikes for one sample of every neuron of each population, by tensor, [*shape].

    Returns:
        Operations for one sample, by the name of the population.
    """
    maps = {name: (item.segment,) for name, item in streams.relays.items()} | dict(streams.maps)
    maps |= {item.tensor: (item.synapses,) for item in network.populations if item.pools}
    names = {item.tensor: item.name for item in network.populations}
    found = dict.fromkeys(names.values(), 0.0)
    for target, parts in maps.items():
        copies = streams.copies.get(target, (1,) * len(parts))
        for times, part in zip(copies, parts, strict=True):
            counter = SynapseCounter(part)
            for source in spikes.keys() & set(part.sources):
                found[names[source]] += times * counter.count({source: spikes[source]})
    return found


class _Projections:
    def __init__(
        self, network: Network, streams: Streams, spikes: Mapping[str, np.ndarray]
    ) -> None:
        self._network, self._streams = network, streams
        self._names = {item.tensor: item.name for item in network.populations}
        self._names |= {name: item.name for name, item in streams.relays.items()}
        self._spikes = dict(spikes)
        for name, item in streams.relays.items():
            sent = network.coding.steps if item.at_once else 1
            self._spikes[name] = np.full(item.shape, sent, np.float32)

    def relay(self, item: Relay) -> Projection:
        return self.received(item.name, (item.segment,))

    def population(self, item: Population) -> Projection:
        maps = (item.synapses,) if item.pools else self._streams.maps[item.tensor]
        found = self.received(item.name, maps, item.segment, self._streams.copies.get(item.tensor))
        products = count_products(item) if item.multiplies else 0
        return replace(found, shape=item.shape, sops=found.sops + products)

    def received(
        self,
        target: str,
        maps: Sequence[Segment],
        whole: Segment | None = None,
        copies: Sequence[int] | None = None,
    ) -> Projection:
        """Count what arrives by some maps, and of the input by the whole one.

        Args:
            target: Name of the group.
            maps: Maps to each of its ports.
            whole: Map to it without relays; None where the input does not matter.
            copies: How many neurons hear each element of a port; by default one.
        """
        network, entry = self._network, self._network.input_name
        constant = whole is not None and not network.spiking_input and entry in whole.sources
        sources = [name for part in maps for name in part.sources if name != entry]
        if constant or (network.spiking_input and any(entry in part.sources for part in maps)):
            sources.append(entry)
        return Projection(
            target=target,
            sources=[self._names.get(name, name) for name in dict.fromkeys(sources)],
            operators=list(dict.fromkeys(node.op for part in maps for node in part.nodes)),
            shape=maps[0].shape,
            sops=sum(
                times * SynapseCounter(part).count(self._spikes)
                for times, part in zip(copies or [1] * len(maps), maps, strict=True)
            ),
            current_macs=current_macs(whole, entry) if whole is not None and constant else 0,
        )
