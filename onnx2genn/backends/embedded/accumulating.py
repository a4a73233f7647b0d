"""Neurons that collect a window and then fire: every segment is evaluated once, exactly."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from onnx2genn.backends.base import NOTHING, Activity, Watch
from onnx2genn.backends.embedded.codes import LOGITS, model_of_codes
from onnx2genn.ir.run import ARRAYS, Runner, samples_at_once

if TYPE_CHECKING:
    from onnx2genn.network import Network

_BATCH = 256
_NARROW = 2**16


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
        self._threads = threads or 0
        self._shapes = {item.tensor: item.shape for item in network.populations}
        self._names = {item.tensor: item.name for item in network.populations}
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
        codes = {item.name: self._narrow(found[item.tensor]) for item in self._network.populations}
        return Activity(
            logits=found[LOGITS],
            logits_by_step=self._by_step(samples, codes) if record else None,
            codes=codes,
            spikes={name: self._coding.spike_count(code) for name, code in codes.items()},
            trains={name: self._coding.spike_train(codes[name]) for name in watch.spikes},
            potentials={name: self._coding.drained(codes[name]) for name in watch.potentials},
        )

    def close(self) -> None:
        """Nothing is held outside the sessions."""

    @cached_property
    def _answers(self) -> Runner:
        return Runner(model_of_codes(self._network, all_codes=False), threads=self._threads)

    @cached_property
    def _codes(self) -> Runner:
        """All that is computed: it takes time to bring codes to the layout in which they leave."""
        return Runner(model_of_codes(self._network), threads=self._threads)

    @cached_property
    def _readout(self) -> Runner:
        return Runner(self._network.readout_in_units().to_onnx(), threads=self._threads)

    def _narrow(self, codes: np.ndarray) -> np.ndarray:
        """Return codes in as few bits as they need: what is counted of them is memory that is read.

        Single precision has all whole numbers that 16 bits hold, and numpy computes with both so.
        """
        levels = self._coding.quantiser.levels
        return codes.astype(np.min_scalar_type(levels)) if levels < _NARROW else codes

    def _computed(self, samples: np.ndarray, wanted: list[str]) -> dict[str, np.ndarray]:
        """Run a model on a few samples at a time, so that what lies between stays in a cache."""
        runner = self._answers if wanted == [LOGITS] else self._codes
        entry, size = self._network.input_name, self._network.model.samples_in_cache
        if len(samples) <= size:
            return runner({entry: samples}, wanted)
        found = {name: np.empty((len(samples), *self._shapes[name]), np.float32) for name in wanted}
        for start in range(0, len(samples), size):
            part = slice(start, start + size)
            values = runner({entry: samples[part]}, wanted)
            for name, array in found.items():
                array[part] = values[name]
        return found

    def _by_step(self, samples: np.ndarray, codes: dict[str, np.ndarray]) -> np.ndarray:
        """Run the readout on what has arrived after each step of its sources' window."""
        steps, count, names = self._coding.steps, len(samples), self._names
        feeds = {}
        for name in self._network.model.parts.readout.sources:
            if name in names:
                arrived = self._coding.arrived(codes[names[name]])
            else:
                arrived = np.broadcast_to(samples, (steps, *samples.shape))
            feeds[name] = arrived.reshape(steps * count, *arrived.shape[2:])
        (found,) = self._readout(feeds).values()
        return found.reshape(steps, count, *found.shape[1:])
