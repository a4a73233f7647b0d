"""What the neurons of a population did, added up over batches."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnx2genn.backends.base import Activity
from onnx2genn.evaluate.deviation import Deviation
from onnx2genn.evaluate.moments import Moments
from onnx2genn.evaluate.pieces import pieces
from onnx2genn.evaluate.result import PopulationActivity
from onnx2genn.evaluate.sums import Sums
from onnx2genn.ir.partition import Population
from onnx2genn.network import Network


class Neurons(Sums):
    """Counts the spikes of one population and compares its activity with the ANN's.

    Attributes:
        population: The population.
        spikes: Spikes of each neuron over all samples so far.
    """

    def __init__(self, network: Network, population: Population) -> None:
        self.population = population
        self.spikes = np.zeros(population.shape)
        self._network = network
        self._moments = Moments()
        self._samples = 0
        self._saturated = 0

    def add(self, activity: Activity, ann: Mapping[str, np.ndarray]) -> None:
        """Add what it did in a batch, and what the ANN computed for its first samples."""
        assert activity.spikes is not None and activity.codes is not None
        name = self.population.name
        codes, levels = activity.codes[name], self._network.coding.quantiser.levels
        self.spikes += activity.spikes[name].sum(axis=0, dtype=np.uint32)
        self._samples += len(codes)
        for (sent,) in pieces(codes):
            self._saturated += int(np.count_nonzero(sent >= levels))
        if ann:
            expected = ann[self.population.tensor]
            for wanted, sent in pieces(expected, codes[: len(expected)]):
                self._moments.add(self._network.decode(self.population, sent), wanted)

    def result(self, deviation: Deviation) -> PopulationActivity:
        """Return what it did over all samples, with what separates it from the ANN."""
        item, threshold = self.population, self._network.thresholds[self.population.name]
        return PopulationActivity(
            name=item.name,
            node=item.node.name,
            kind=item.kind,
            shape=item.shape,
            neurons=self.spikes.size,
            threshold=(float(threshold.min()), float(threshold.max())),
            spikes=round(float(self.spikes.sum())),
            correlation=self._moments.correlation(),
            saturated=self._saturated / (self.spikes.size * self._samples),
            silent=float((self.spikes == 0).mean()),
            deviation=deviation,
        )
