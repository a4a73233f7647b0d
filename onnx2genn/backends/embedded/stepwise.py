"""Neurons that integrate and fire in the same window: layer by layer over all its steps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from onnx2genn.backends.base import NOTHING, Activity, Watch
from onnx2genn.backends.embedded.blocks import block_size, in_plain_order, models_in_blocks
from onnx2genn.backends.embedded.lanes import with_rows_as_channels
from onnx2genn.backends.embedded.layer import Input, Layer, incoming, input_train, last_uses
from onnx2genn.backends.room import require_room
from onnx2genn.ir.memory import budget
from onnx2genn.ir.parallel import cores
from onnx2genn.ir.run import ARRAYS, samples_at_once

if TYPE_CHECKING:
    from onnx2genn.network import Network

_BATCH = 256
# A thread holds what goes in and out of a layer over all steps, and what onnxruntime has in hand.
_ARRAYS = 6
# Larger groups make calls rarer, smaller ones stay in the cache: this size measured fastest.
_WINDOW_BYTES = 24 * 2**20


@dataclass(slots=True)
class _Window:
    """The readout of a group by step, [T, N, ...]; what neurons did by tensor, or by name.

    Spike counts and codes are by tensor; trains and potentials [T, N, ...] by population.
    """

    logits: np.ndarray = field(default_factory=lambda: np.empty(0))
    spikes: dict[str, np.ndarray] = field(default_factory=dict)
    codes: dict[str, np.ndarray] = field(default_factory=dict)
    trains: dict[str, np.ndarray] = field(default_factory=dict)
    potentials: dict[str, np.ndarray] = field(default_factory=dict)


class StepwiseSimulator:
    """Simulates small groups of samples, each on one thread, over the whole window at once.

    The affine maps see all steps of a group as one batch. Operators run on one thread and the
    groups share the cores, so that the spikes of a layer are still in the cache when the next one
    reads them.
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
        self._graded = network.coding.neuron().graded
        self._layers, self._input = self._parts(network)
        self._released = last_uses([*self._layers, self._input])
        largest = max(
            [np.prod(item.shape) for item in network.populations] + [np.prod(network.input_shape)]
        )
        window = 4 * self._coding.steps * int(largest)
        room = min(_WINDOW_BYTES, budget() // _ARRAYS)
        self._group = max(1, min(32, room // window))
        size = _ARRAYS * self._group * window  # of a thread
        require_room(f"a window of {self._coding.steps} steps on the embedded engine", size)
        self._threads = ThreadPoolExecutor(min(threads or cores(), budget() // size))

    def _parts(self, network: Network) -> tuple[list[Layer], Input]:
        """Make the layers and the readout, and keep which tensors lie in blocks."""
        segments = [incoming(network, item) for item in network.populations]
        segments.append(network.readout_in_units())
        segments = [with_rows_as_channels(item, block_size()) for item in segments]
        # Functions, and the readout, need their sums in the plain order.
        names = [None if item.is_function else item.tensor for item in network.populations]
        models, self._blocked = models_in_blocks(list(zip([*names, None], segments, strict=True)))
        *inputs, readout = map(Input, segments, models)
        layers = map(partial(Layer, network), network.populations, inputs)
        return list(layers), readout

    def run(
        self,
        samples: np.ndarray,
        *,
        first: int = 0,
        record: bool = False,
        watch: Watch = NOTHING,
    ) -> Activity:
        """Simulate samples; see :class:`onnx2genn.backends.base.Simulator`."""
        starts = range(0, len(samples), self._group)
        parts = list(
            self._threads.map(
                lambda at: self._window(samples[at : at + self._group], first + at, record, watch),
                starts,
            )
        )
        logits = np.concatenate([part.logits for part in parts], axis=1)
        trains, potentials = (
            {
                name: np.concatenate([getattr(part, kind)[name] for part in parts], axis=1)
                for name in names
            }
            for kind, names in (("trains", watch.spikes), ("potentials", watch.potentials))
        )
        if not record:
            return Activity(logits=logits[-1], trains=trains, potentials=potentials)
        spikes, codes = (
            {
                item.name: np.concatenate([getattr(part, kind)[item.tensor] for part in parts])
                for item in self._network.populations
            }
            for kind in ("spikes", "codes")
        )
        return Activity(
            logits=logits[-1],
            logits_by_step=logits,
            spikes=spikes,
            codes=codes,
            trains=trains,
            potentials=potentials,
        )

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown()

    def _window(self, samples: np.ndarray, first: int, record: bool, watch: Watch) -> _Window:
        """Run one group over its window."""
        network = self._network
        # Every tensor has a first axis of steps; one of a single step is constant.
        trains = {network.input_name: input_train(network, samples, first)}
        window = _Window()
        # What the readout releases needs no deleting.
        for layer, released in zip(self._layers, self._released[:-1], strict=True):
            trains[layer.tensor] = spikes = layer.fire(trains)
            order = in_plain_order if layer.tensor in self._blocked else np.asarray
            if record:
                codes = order(spikes.sum(axis=0))
                window.codes[layer.tensor] = codes
                window.spikes[layer.tensor] = (
                    order(np.count_nonzero(spikes, axis=0)) if self._graded else codes
                )
            if layer.name in watch.spikes:
                window.trains[layer.name] = order(spikes.copy())
            if layer.name in watch.potentials:
                window.potentials[layer.name] = order(layer.potentials(trains, spikes))
            for name in released:
                del trains[name]
        window.logits = self._readout(self._input(trains))
        return window

    def _readout(self, current: np.ndarray) -> np.ndarray:
        """Return the logits after each step: the mean current, or the rate of output spikes."""
        steps = self._coding.steps
        if self._network.firing_readout:
            spikes = np.empty((steps, *current.shape[1:]), np.float32)
            self._coding.fire(current, spikes)
            current = spikes * self._coding.unit(self._network.readout_threshold)
        elapsed = np.arange(1, steps + 1, dtype=np.float32).reshape(-1, *[1] * (current.ndim - 1))
        if len(current) == 1:
            return np.repeat(current, steps, axis=0)
        return np.cumsum(current, axis=0) / elapsed
