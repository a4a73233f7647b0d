"""What a spiking network does, spike by spike and step by step, a few samples at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from onnx2genn.backends.base import Watch
from onnx2genn.backends.registry import AUTO, open_simulator
from onnx2genn.errors import DataError
from onnx2genn.ir.graph import Shape

if TYPE_CHECKING:
    from onnx2genn.network import Network

_MOST_BYTES = 2**28


@dataclass(frozen=True, kw_only=True)
class Events:
    """Spikes of one population, in the order of samples, then steps, then neurons.

    Attributes:
        sample: Place of the sample in the data, int64 [events].
        step: Step in the population's window, 0 to T - 1, int32 [events].
        neuron: Place in the flat ONNX tensor of a sample, int64 [events].
        value: What the spike stands for, in ANN units, float32 [events].
        start: First step of the population's window, after the presentation of its sample.
        period: T; a sample follows the one before it after so many steps.
    """

    sample: np.ndarray
    step: np.ndarray
    neuron: np.ndarray
    value: np.ndarray
    start: int
    period: int

    @property
    def time(self) -> np.ndarray:
        """Time step of each spike since the first sample was presented, int64 [events]."""
        return self.sample * self.period + self.start + self.step


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What was recorded of the next samples.

    Attributes:
        first: Place of the first of them in the data.
        logits: Answers in ANN units, [N, ...].
        shapes: Shape of each recorded population, by its name.
        spikes: Spikes by the name of the population.
        potentials: Potential V after each step of the window, float32 [N, T, *shape], by the name
            of the population, in the units of the coding's equation; the readout's is the logits
            so far, in ANN units.
    """

    first: int
    logits: np.ndarray
    shapes: Mapping[str, Shape]
    spikes: Mapping[str, Events]
    potentials: Mapping[str, np.ndarray]

    @cached_property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.logits)


READOUT = "readout"
"""What the readout is called where populations are chosen."""


def record(
    network: Network,
    samples: np.ndarray,
    spikes: Sequence[str] | None = None,
    membrane: Sequence[str] = (),
    backend: str = AUTO,
    *,
    batch_size: int | None = None,
) -> Iterator[Recording]:
    """Simulate samples and return what was recorded, a few at a time.

    Args:
        network: Network to simulate.
        samples: As :func:`onnx2genn.data.samples_of` gives them.
        spikes: Populations whose spikes are wanted; None for all.
        membrane: Populations whose potentials are wanted; ``readout`` for the logits over time.
        backend: As for :func:`open_simulator`.
        batch_size: Samples simulated at once; chosen by the backend and by the memory if None.

    Raises:
        DataError: There is no such population, or it has no potential.
        BackendError: The backend is missing or cannot run the network.
    """
    names = [item.name for item in network.populations]
    chosen = names if spikes is None else _names(network, spikes)
    readout = READOUT in membrane
    watched = _names(network, [item for item in membrane if item != READOUT])
    _require_potentials(network, watched)
    watch = Watch(spikes=frozenset(chosen), potentials=frozenset(watched))
    return _recordings(network, samples, watch, readout, backend, batch_size)


def _recordings(
    network: Network,
    samples: np.ndarray,
    watch: Watch,
    readout: bool,
    backend: str,
    batch_size: int | None,
) -> Iterator[Recording]:
    populations = {item.name: item for item in network.populations}
    shapes = {
        name: item.shape
        for name, item in populations.items()
        if name in watch.spikes | watch.potentials
    }
    with open_simulator(network, backend, batch_size=batch_size) as simulator:
        size = min(simulator.batch_size, _samples_at_once(network, watch))
        for start in range(0, len(samples), size):
            part = samples[start : start + size]
            activity = simulator.run(part, first=start, record=readout, watch=watch)
            potentials = {
                name: np.moveaxis(array, 0, 1) for name, array in activity.potentials.items()
            }
            if readout:
                assert activity.logits_by_step is not None
                potentials[READOUT] = np.moveaxis(activity.logits_by_step, 0, 1)
            yield Recording(
                first=start,
                logits=activity.logits,
                shapes=shapes,
                spikes={
                    name: _events(network, name, activity.trains[name], start)
                    for name in populations
                    if name in watch.spikes
                },
                potentials=potentials,
            )


def _events(network: Network, name: str, train: np.ndarray, first: int) -> Events:
    """Turn a train [T, N, *shape], in units of the smallest spike, into events."""
    item = next(item for item in network.populations if item.name == name)
    flat = train.reshape(*train.shape[:2], -1)
    sample, step, neuron = np.nonzero(flat.transpose(1, 0, 2))
    value = network.coding_of(item).quantiser.step_value(network.thresholds[name])
    values = np.broadcast_to(value, item.shape).ravel()
    return Events(
        sample=sample + first,
        step=step.astype(np.int32),
        neuron=neuron,
        value=(flat[step, sample, neuron] * values[neuron]).astype(np.float32),
        start=network.coding.window_start(item.depth),
        period=network.coding.steps,
    )


def _names(network: Network, wanted: Sequence[str]) -> list[str]:
    """Find populations by their names, or by those of their ONNX nodes or tensors."""
    known: dict[str, str] = {}
    for item in network.populations:
        for name in (item.tensor, item.node.name, item.name):
            known[name] = item.name
    if isinstance(wanted, str):
        wanted = [wanted]
    for name in wanted:
        if name not in known:
            nodes = ", ".join(item.node.name or item.name for item in network.populations)
            raise DataError(f"There is no population {name!r}. The network has {nodes}.")
    return [known[name] for name in wanted]


def _require_potentials(network: Network, names: Sequence[str]) -> None:
    if names and "V" not in network.coding.neuron().variables:
        raise DataError(f"Neurons of coding {network.coding.name!r} have no potential V.")
    for item in network.populations:
        if item.name in names and item.pools:
            raise DataError(
                f"{item.node.name} is a max pooling, which has no potential: it passes on the "
                "largest count. Choose the population before it."
            )


def _samples_at_once(network: Network, watch: Watch) -> int:
    elements = sum(
        int(np.prod(item.shape)) * ((item.name in watch.spikes) + (item.name in watch.potentials))
        for item in network.populations
    )
    return max(1, _MOST_BYTES // max(1, 4 * network.coding.steps * elements))
