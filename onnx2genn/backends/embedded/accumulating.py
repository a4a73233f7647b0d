"""Neurons that collect a window and then fire: every segment is evaluated once, exactly."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from onnx2genn.backends.base import NOTHING, Activity, Watch
from onnx2genn.backends.embedded.codes import LOGITS, code_of, model_of_codes
from onnx2genn.ir.parallel import ParallelRunner
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
        self._threads = threads
        self._names = {item.tensor: item.name for item in network.populations}
        # Two models: it takes time to bring codes to the layout in which they leave.
        self._answers, self._codes = (
            ParallelRunner(
                partial(model_of_codes, network, all_codes=all_codes),
                at_once=network.model.samples_in_cache,
                threads=threads,
            )
            for all_codes in (False, True)
        )

    def run(
        self,
        samples: np.ndarray,
        *,
        first: int = 0,
        record: bool = False,
        watch: Watch = NOTHING,
    ) -> Activity:
        """Simulate samples; see :class:`onnx2genn.backends.base.Simulator`."""
        feeds = {self._network.input_name: samples}
        if not record and watch == NOTHING:
            return Activity(logits=self._answers(feeds, [LOGITS])[LOGITS])
        tensors = {item.name: code_of(item.tensor) for item in self._network.populations}
        found = self._codes(feeds, [LOGITS, *tensors.values()])
        codes = {name: found[tensor] for name, tensor in tensors.items()}
        return Activity(
            logits=found[LOGITS],
            logits_by_step=self._by_step(samples, codes) if record else None,
            codes=codes,
            spikes={name: self._coding.spike_count(code) for name, code in codes.items()},
            trains={name: self._coding.spike_train(codes[name]) for name in watch.spikes},
            potentials={name: self._coding.drained(codes[name]) for name in watch.potentials},
        )

    def close(self) -> None:
        """Stop the threads."""
        self._answers.close()
        self._codes.close()

    @cached_property
    def _readout(self) -> Runner:
        model = self._network.readout_in_units().to_onnx()
        return Runner(model, threads=self._threads or 0)

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
