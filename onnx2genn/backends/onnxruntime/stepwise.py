"""Neurons that integrate and fire in the same window: layer by layer over all its steps."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx2genn.backends.base import Activity
from onnx2genn.coding.base import StepwiseCoding
from onnx2genn.errors import BackendError
from onnx2genn.graph.partition import Population
from onnx2genn.graph.segment import Segment
from onnx2genn.runtime import session

if TYPE_CHECKING:
    import onnxruntime

    from onnx2genn.network import SpikingNetwork

_BATCH = 256
_MOST_WINDOW_BYTES = 2**30
# Larger groups make calls rarer, smaller ones stay in the cache: this size measured fastest.
_WINDOW_BYTES = 24 * 2**20


@dataclass(frozen=True, slots=True)
class _Stage:
    """A segment, ready to run.

    Attributes:
        tensor: What its target's spikes stand for; None for the readout.
        segment: Affine map between spikes, in units.
        runner: Session that computes it on one thread.
        last_use: Tensors that nothing after it reads.
        pools: Whether it ends in a max pooling of counts.
    """

    tensor: str | None
    segment: Segment
    runner: onnxruntime.InferenceSession
    last_use: tuple[str, ...]
    pools: bool


@dataclass(slots=True)
class _Window:
    """The readout of a group by step, [T, N, ...]; spike counts and codes by tensor."""

    logits: np.ndarray = field(default_factory=lambda: np.empty(0))
    spikes: dict[str, np.ndarray] = field(default_factory=dict)
    codes: dict[str, np.ndarray] = field(default_factory=dict)


class StepwiseSimulator:
    """Simulates small groups of samples, each on one thread, over the whole window at once.

    The affine maps see all steps of a group as one batch. Operators run on one thread and the
    groups share the cores, so that the spikes of a layer are still in the cache when the next one
    reads them.
    """

    backend = "onnxruntime"

    def __init__(
        self,
        network: SpikingNetwork,
        *,
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> None:
        assert isinstance(network.coding, StepwiseCoding)
        self.batch_size = batch_size or _BATCH
        self._network = network
        self._coding = network.coding
        self._graded = network.coding.neuron().graded
        self._stages = _stages(network)
        largest = max(
            [np.prod(item.shape) for item in network.populations] + [np.prod(network.input_shape)]
        )
        window = 4 * self._coding.steps * int(largest)
        if window > _MOST_WINDOW_BYTES:
            raise BackendError(
                f"The spikes of the largest population over {self._coding.steps} steps take "
                f"{window / 2**30:.1f} GiB for each sample. Use fewer steps."
            )
        self._group = max(1, min(32, _WINDOW_BYTES // window))
        self._kept = threading.local()
        self._threads = ThreadPoolExecutor(threads or os.cpu_count() or 1)

    def run(self, samples: np.ndarray, *, first: int = 0, record: bool = False) -> Activity:
        """Simulate samples; see :class:`onnx2genn.backends.base.Simulator`."""
        starts = range(0, len(samples), self._group)
        parts = list(
            self._threads.map(
                lambda at: self._window(samples[at : at + self._group], first + at, record), starts
            )
        )
        logits = np.concatenate([part.logits for part in parts], axis=1)
        if not record:
            return Activity(logits=logits[-1])
        spikes, codes = (
            {
                item.name: np.concatenate([getattr(part, kind)[item.tensor] for part in parts])
                for item in self._network.populations
            }
            for kind in ("spikes", "codes")
        )
        return Activity(logits=logits[-1], logits_by_step=logits, spikes=spikes, codes=codes)

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown()

    def _window(self, samples: np.ndarray, first: int, record: bool) -> _Window:
        """Run one group over its window."""
        network = self._network
        # Every tensor has a first axis of steps; one of a single step is constant.
        trains = {network.input_name: self._input(samples, first)}
        window = _Window()
        for stage in self._stages[:-1]:
            spikes = _pool(stage, trains) if stage.pools else self._fire(stage, trains)
            assert stage.tensor is not None
            trains[stage.tensor] = spikes
            if record:
                codes = spikes.sum(axis=0)
                window.codes[stage.tensor] = codes
                window.spikes[stage.tensor] = (
                    np.count_nonzero(spikes, axis=0) if self._graded else codes
                )
            for name in stage.last_use:
                del trains[name]
        window.logits = self._readout(_current(self._stages[-1], trains))
        return window

    def _fire(self, stage: _Stage, trains: dict[str, np.ndarray]) -> np.ndarray:
        current = _current(stage, trains)
        spikes = current
        if len(current) != self._coding.steps:
            spikes = self._buffer(stage, (self._coding.steps, *current.shape[1:]))
        self._coding.fire(current, spikes)
        return spikes

    def _buffer(self, stage: _Stage, shape: tuple[int, ...]) -> np.ndarray:
        """Return memory that this thread used before for the same spikes.

        Fresh memory of this size comes from the operating system page by page, which takes as
        long as the neurons.
        """
        kept: dict[Any, np.ndarray] = vars(self._kept)
        if stage.tensor not in kept or kept[stage.tensor].shape != shape:
            kept[stage.tensor] = np.empty(shape, np.float32)
        return kept[stage.tensor]

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

    def _input(self, samples: np.ndarray, first: int) -> np.ndarray:
        if not self._network.poisson:
            return samples[None]
        shape = (self._coding.steps, *samples.shape[1:])
        seed = self._coding.options()["seed"]
        probability = samples / self._network.input_scale
        trains = [
            _generator(seed, first + index).random(shape, dtype=np.float32) < np.abs(value)
            for index, value in enumerate(probability)
        ]
        return np.stack(trains, axis=1) * np.sign(probability)


def _generator(seed: int, sample: int) -> np.random.Generator:
    """Random numbers of one sample, whatever batch or thread it runs in."""
    return np.random.Generator(np.random.Philox(key=[seed, sample]))


def _stages(network: SpikingNetwork) -> list[_Stage]:
    parts: list[tuple[Population | None, Segment]] = [
        (item, network.segment_in_units(item)) for item in network.populations
    ]
    parts.append((None, network.readout_in_units()))
    stages: list[_Stage] = []
    needed: set[str] = set()
    for item, segment in reversed(parts):
        last_use = tuple(name for name in segment.sources if name not in needed)
        needed.update(segment.sources)
        pools = item is not None and item.pools
        if item is not None and pools:
            segment = _with_pool(segment, item)
        runner = session(segment.to_onnx(), threads=1)
        tensor = None if item is None else item.tensor
        stages.append(_Stage(tensor, segment, runner, last_use, pools))
    return stages[::-1]


def _with_pool(segment: Segment, pool: Population) -> Segment:
    return replace(segment, nodes=(*segment.nodes, pool.node), target=pool.tensor)


def _pool(stage: _Stage, trains: dict[str, np.ndarray]) -> np.ndarray:
    """Fire whenever the largest spike count in the window of a pool grows."""
    sources = {name: trains[name] for name in stage.segment.sources}
    counts = {name: np.zeros_like(train[0]) for name, train in sources.items()}
    steps, samples = next(iter(sources.values())).shape[:2]
    spikes = np.empty((steps, samples, *stage.segment.shape), np.float32)
    before: np.ndarray | float = 0.0
    # Step by step, so that the counts stay in the cache.
    for step in range(steps):
        for name, count in counts.items():
            count += sources[name][step]
        (largest,) = stage.runner.run(None, counts)
        np.subtract(largest, before, out=spikes[step])
        before = largest
    return spikes


def _current(stage: _Stage, trains: dict[str, np.ndarray]) -> np.ndarray:
    """Run a segment on all steps at once, or on one step if all its sources are constant."""
    sources = [trains[name] for name in stage.segment.sources]
    steps = max(len(train) for train in sources)
    feeds = {
        name: np.broadcast_to(train, (steps, *train.shape[1:])).reshape(-1, *train.shape[2:])
        for name, train in zip(stage.segment.sources, sources, strict=True)
    }
    (result,) = stage.runner.run(None, feeds)
    return result.reshape(steps, -1, *result.shape[1:])
