"""One population on its own: the segment that feeds it, and its neurons over a whole window."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx

from onnx2genn.backends.poisson import fire, generator
from onnx2genn.ir.partition import Population
from onnx2genn.ir.run import Runner
from onnx2genn.ir.segment import Segment

if TYPE_CHECKING:
    from onnx2genn.network import Network

Trains = Mapping[str, np.ndarray]
"""What tensors send, in units, [T, N, ...]; a first axis of 1 is constant, or the code of a window.
"""


class Input:
    """A segment that computes what arrives at its target in every step, on one thread.

    Args:
        segment: The segment.
        model: What computes it, optimised for this machine; onnxruntime optimises it if None.
    """

    def __init__(self, segment: Segment, model: onnx.ModelProto | None = None) -> None:
        self.sources = segment.sources
        self._runner = Runner(
            model or segment.to_onnx(), threads=1, share=True, optimise=model is None
        )

    def __call__(self, trains: Trains) -> np.ndarray:
        """Run all steps at once, or one step if all sources are constant; return [T, N, ...]."""
        sources = [trains[name] for name in self.sources]
        steps = max(len(train) for train in sources)
        feeds = {
            name: np.broadcast_to(train, (steps, *train.shape[1:])).reshape(-1, *train.shape[2:])
            for name, train in zip(self.sources, sources, strict=True)
        }
        (result,) = self._runner(feeds).values()
        return result.reshape(steps, -1, *result.shape[1:])


class Layer:
    """A population of a network, ready to run.

    Args:
        network: The network.
        population: The population.
        entering: What computes its :func:`incoming` segment; made if None.

    Attributes:
        name: Name of the population.
        tensor: What its spikes stand for.
        sources: Tensors whose spikes it receives.
    """

    def __init__(
        self, network: Network, population: Population, entering: Input | None = None
    ) -> None:
        self.name = population.name
        self.tensor = population.tensor
        self._network = network
        self._population = population
        self._input = entering or Input(incoming(network, population))
        self.sources = self._input.sources
        self._kept = threading.local()

    def fire(self, trains: Trains) -> np.ndarray:
        """Return the spikes of the population's window, [T, N, ...], or its codes, [1, N, ...].

        They are valid until the same thread calls again.

        Args:
            trains: What the sources send.
        """
        coding = self._network.coding_of(self._population)
        if self._population.pools:
            return self._pool(trains)
        current = spikes = self._current(trains)
        if len(current) != coding.train_length:
            spikes = self._buffer((coding.train_length, *current.shape[1:]))
        coding.fire(current, spikes)
        return spikes

    def potentials(self, trains: Trains, spikes: np.ndarray) -> np.ndarray:
        """Return the potential after each step, [T, N, ...], given the spikes that were fired."""
        current = self._current(trains)
        return self._network.coding.integrated(current, spikes)

    def _buffer(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return memory that this thread used before for the same spikes.

        Fresh memory of this size comes from the operating system page by page, which takes as
        long as the neurons.
        """
        kept = getattr(self._kept, "array", None)
        if kept is None or kept.shape != shape:
            self._kept.array = kept = np.empty(shape, np.float32)
        return kept

    def _current(self, trains: Trains) -> np.ndarray:
        """Return what drives the neurons, in units: of functions, that of the whole window."""
        arrives = self._input(trains)
        if self._population.is_function:
            arrives = arrives.mean(axis=0, keepdims=True)
        return self._in_units(arrives)

    def _in_units(self, argument: np.ndarray) -> np.ndarray:
        """Apply a population's function, if it has one of its own, to what it collected."""
        item = self._population
        if not item.is_function:
            return argument
        flat = argument.reshape(-1, *argument.shape[2:])
        values = item.function(flat).reshape(*argument.shape[:2], *item.shape)
        return (values - self._network.offsets[item.name]) / self._network.units[item.tensor]

    def _pool(self, trains: Trains) -> np.ndarray:
        """Fire whenever the largest spike count in the window of a pool grows."""
        counts = {name: np.zeros_like(trains[name][:1]) for name in self.sources}
        steps, samples = trains[self.sources[0]].shape[:2]
        spikes = np.empty((steps, samples, *self._population.shape), np.float32)
        before: np.ndarray | float = 0.0
        # Step by step, so that the counts stay in the cache.
        for step in range(steps):
            for name, count in counts.items():
                count += trains[name][step]
            largest = self._input(counts)[0]
            np.subtract(largest, before, out=spikes[step])
            before = largest
        return spikes


def incoming(network: Network, population: Population) -> Segment:
    """Return the map from what sources send to what drives a population; a pool is a part of it."""
    segment = network.segment_in_units(population)
    if not population.pools:
        return segment
    nodes = (*segment.nodes, population.node)
    return replace(segment, nodes=nodes, target=population.tensor)


def last_uses(parts: Sequence[Layer | Input | Segment]) -> list[tuple[str, ...]]:
    """Return, for each part of a network, the tensors that no part after it reads."""
    needed: set[str] = set()
    found = []
    for part in reversed(parts):
        found.append(tuple(name for name in part.sources if name not in needed))
        needed.update(part.sources)
    return found[::-1]


def input_train(network: Network, samples: np.ndarray, first: int) -> np.ndarray:
    """Return what the network's input sends: a constant current, events, or random spikes.

    Args:
        network: Network whose coding says which.
        samples: Samples [N, ...]; events are counted, [N, T, ...].
        first: Number of the first sample, which seeds its spikes.
    """
    if network.coding.events:
        return samples.swapaxes(0, 1).astype(np.float32)
    if not network.poisson:
        return samples[None]
    seed = network.coding.seed
    trains = [
        fire(generator(seed, first + index), probability, network.coding.steps)
        for index, probability in enumerate(samples / network.input_scale)
    ]
    return np.stack(trains, axis=1)
