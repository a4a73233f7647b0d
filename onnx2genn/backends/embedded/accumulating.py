"""Neurons that collect a window and then fire: every segment is evaluated once, exactly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from onnx2genn.backends.base import NOTHING, Activity, Watch
from onnx2genn.backends.embedded.codes import LOGITS, model_of_codes
from onnx2genn.ir.run import ARRAYS, Runner, samples_at_once

if TYPE_CHECKING:
    from onnx2genn.network import Network

_BATCH = 256


class AccumulatingSimulator:
    """Runs the whole network as one ONNX model between codes.

    What a neuron fires depends only on the sum that it collected over its sources' window, so the
    sum of the spikes takes the place of the spikes; these are recovered from the codes.
    """

    backend = "onnxruntime"

    def __init__(
        self,
        network: Network,
        *,
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> None:
        self.batch_size = batch_size or samples_at_once(network.neurons, _BATCH, ARRAYS)
        self._network = network
        self._coding = network.coding
        self._runner = Runner(model_of_codes(network), threads=threads or 0)
        self._readout = Runner(network.readout_in_units().to_onnx(), threads=threads or 0)
        self._shapes = {item.tensor: item.shape for item in network.populations}
        self._shapes[LOGITS] = network.model.parts.readout.shape

    def run(
        self,
        samples: np.ndarray,
        *,
        first: int = 0,
        record: bool = False,
        watch: Watch = NOTHING,
    ) -> Activity:
        """Simulate samples; see :class:`onnx2genn.backends.base.Simulator`."""
        if not record and watch == NOTHING:
            return Activity(logits=self._computed(samples, [LOGITS])[LOGITS])
        found = self._computed(samples, list(self._shapes))
        codes = {item.name: found[item.tensor] for item in self._network.populations}
        entering = {self._network.input_name: samples}
        return Activity(
            logits=found[LOGITS],
            logits_by_step=self._by_step({**entering, **found}) if record else None,
            codes=codes,
            spikes={name: self._coding.spike_count(code) for name, code in codes.items()},
            trains={name: self._coding.spike_train(codes[name]) for name in watch.spikes},
            potentials={name: self._coding.drained(codes[name]) for name in watch.potentials},
        )

    def close(self) -> None:
        """Nothing is held outside the sessions."""

    def _computed(self, samples: np.ndarray, wanted: list[str]) -> dict[str, np.ndarray]:
        """Run the model on a few samples at a time, so that what lies between stays in a cache."""
        found = {name: np.empty((len(samples), *self._shapes[name]), np.float32) for name in wanted}
        for part in self._parts(len(samples)):
            values = self._runner({self._network.input_name: samples[part]}, wanted)
            for name, array in found.items():
                array[part] = values[name]
        return found

    def _parts(self, count: int) -> Iterator[slice]:
        size = self._network.model.samples_in_cache
        for start in range(0, count, size):
            yield slice(start, min(start + size, count))

    def _by_step(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """Run the readout on what has arrived after each step of its sources' window."""
        entry = self._network.input_name
        sources = self._network.model.parts.readout.sources
        arrived = {
            name: np.cumsum(self._coding.spike_train(values[name]), axis=0)
            for name in sources
            if name != entry
        }
        rows: list[np.ndarray] = []
        for step in range(self._coding.steps):
            feeds = {name: value[step] for name, value in arrived.items()}
            if entry in sources:
                feeds[entry] = values[entry]
            rows += self._readout(feeds).values()
        return np.stack(rows)
