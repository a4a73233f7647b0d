"""What the neurons of a population did, added up over batches."""

from __future__ import annotations

import numpy as np

from onnx2genn.backends.base import Activity
from onnx2genn.evaluate.deviation import Deviation
from onnx2genn.evaluate.result import PopulationActivity
from onnx2genn.evaluate.sums import Sums
from onnx2genn.ir.partition import Population
from onnx2genn.network import Network


class Neurons(Sums):
    """Counts the spikes of one population.

    Attributes:
        population: The population.
        spikes: Spikes of each neuron over all samples so far.
    """

    def __init__(
        self, network: Network, population: Population, samples: int | None = None
    ) -> None:
        """Begin to count.

        Args:
            network: The spiking network.
            population: The population.
            samples: Most samples that will be counted, whose spikes fit into few bits; any number
                if None.
        """
        self.population = population
        most = None if samples is None else np.min_scalar_type(samples * network.coding.steps)
        self.spikes: np.ndarray = np.zeros(population.shape, most)
        self._network = network
        self._samples = 0
        self._saturated = 0

    def add(self, spikes: np.ndarray) -> None:
        """Add spikes of each neuron, summed over samples."""
        self.spikes += spikes

    def look(self, codes: np.ndarray) -> None:
        """Count codes [N, ...] that are as large as they can be."""
        levels = self._network.coding_of(self.population).quantiser.levels
        self._samples += len(codes)
        self._saturated += int(np.count_nonzero(codes >= levels))

    def result(self, correlation: float | None, deviation: Deviation) -> PopulationActivity:
        """Return what it did over all samples, with what compares it with the ANN."""
        item, threshold = self.population, self._network.thresholds[self.population.name]
        return PopulationActivity(
            name=item.name,
            node=item.node.name,
            kind=item.kind,
            shape=item.shape,
            neurons=self.spikes.size,
            threshold=(float(threshold.min()), float(threshold.max())),
            digits=self._network.digits_of(item),
            spikes=round(float(self.spikes.sum())),
            correlation=correlation,
            saturated=self._saturated / (self.spikes.size * self._samples),
            silent=float((self.spikes == 0).mean()),
            deviation=deviation,
        )


class Tally:
    """Adds spikes up in as few bits as spike counts have, as long as these hold the sum.

    Wide sums of all neurons of a large network are more memory than its spikes: they are written
    once in many samples.
    """

    def __init__(self, neurons: Neurons, steps: int) -> None:
        """Begin.

        Args:
            neurons: Where the sums go.
            steps: Most spikes of a neuron in a sample.
        """
        self._neurons, self._steps = neurons, steps
        self._sum: np.ndarray | None = None
        self._room = 0

    def add(self, activity: Activity) -> None:
        """Add what the population did in a batch."""
        assert activity.spikes is not None and activity.codes is not None
        name = self._neurons.population.name
        self._neurons.look(activity.codes[name])
        spikes = activity.spikes[name]
        most = np.iinfo(spikes.dtype).max // self._steps if spikes.dtype.kind == "u" else 0
        if len(spikes) > most:
            self._neurons.add(spikes.sum(axis=0, dtype=self._neurons.spikes.dtype))
            return
        if len(spikes) > self._room:
            self.settle()
        if self._sum is None:
            self._sum, self._room = np.zeros(spikes.shape[1:], spikes.dtype), most
        for sample in spikes:
            self._sum += sample
        self._room -= len(spikes)

    def settle(self) -> None:
        """Hand over what was added up."""
        if self._sum is not None:
            self._neurons.add(self._sum)
        self._sum, self._room = None, 0
