"""ANN, forecast and spiking network on the same samples, part by part."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from onnx2genn.backends.base import Activity, Simulator
from onnx2genn.backends.registry import EMBEDDED, open_simulator
from onnx2genn.backends.room import require_room
from onnx2genn.evaluate.answers import Answers, Question
from onnx2genn.evaluate.errors_by_cause import Deviations, looked_at
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.evaluate.neurons import Neurons, Tally
from onnx2genn.evaluate.sums import Sums
from onnx2genn.ir.memory import budget
from onnx2genn.ir.model import Model
from onnx2genn.ir.outputs import beside, separate_outputs
from onnx2genn.ir.parallel import cores
from onnx2genn.ir.run import ARRAYS, Runner
from onnx2genn.network import Network

_FORECAST_SHARE = 8  # one in so many of the samples that are looked at closely


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be compared.

    Attributes:
        network: The spiking network.
        questions: What is asked of each of its outputs.
        backend: Name of the backend that simulates.
        batch_size: Samples simulated at once; chosen by the backend if None.
        options: Options of the backend.
    """

    network: Network
    questions: Mapping[str, Question]
    backend: str
    batch_size: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Samples that follow each other.

    Attributes:
        first: Number of the first one in the data.
        samples: The samples [n, ...].
        labels: What the answers should be, by output; None if it is not known.
    """

    first: int
    samples: np.ndarray
    labels: Mapping[str, np.ndarray | None]


class Part(Sums):
    """What was found on some samples.

    Attributes:
        answers: How each output did.
        neurons: What each population did.
        deviations: What separates it from the ANN.
        arrived: Sum of the magnitudes of each element of the input.
        seconds: Time of the simulation.
        samples: Number of samples.
    """

    def __init__(self, job: Job, most: int | None = None) -> None:
        """Begin.

        Args:
            job: What is compared.
            most: Most samples; any number if None.
        """
        self.answers = {name: Answers(item) for name, item in job.questions.items()}
        self.neurons = [Neurons(job.network, item, most) for item in job.network.populations]
        self.deviations = Deviations(job.network)
        self.arrived = np.zeros(job.network.input_shape)
        self.seconds = 0.0
        self.samples = 0


class _Computed(NamedTuple):
    """What was computed of samples that follow each other, of which some are looked at closely."""

    first: int
    seen: np.ndarray
    closely: int
    ann: np.ndarray
    by_layer: Mapping[str, np.ndarray]
    activity: Activity
    forecasts: np.ndarray
    seconds: float


class Comparison:
    """Compares on stretches of samples, one after the other.

    Attributes:
        backend: Backend that simulates.
        batch_size: Samples of a stretch that it does best with.
    """

    def __init__(self, job: Job, simulator: Simulator, *, threads: int = 1) -> None:
        """Begin, on several threads where the simulator is for such."""
        self.backend, self.batch_size = simulator.backend, simulator.batch_size
        self._job, self._simulator, self._threads = job, simulator, threads
        self._target = job.network.model.parts.readout.target
        self._tensors = [item.tensor for item in job.network.populations]
        self._exact = is_exact(job.network, simulator)
        self._within = 1 if self._exact else 0  # threads of an operator
        # What this engine computes of so few samples is still in a cache when it is looked at.
        self._at_once = job.network.model.samples_in_cache if self._exact else self.batch_size
        self._making, self._built = Lock(), False

    # Made when they are first asked for: where others compare, this process needs none of them.

    @cached_property
    def _ann(self) -> Runner:
        return self._job.network.model.runner([self._target], threads=self._within)

    @cached_property
    def _ann_by_layer(self) -> Runner:
        tensors = [self._target, *self._tensors]
        return self._job.network.model.runner(tensors, threads=self._within)

    @cached_property
    def _forecast(self) -> Forecast:
        return Forecast(self._job.network, threads=self._within)

    @cached_property
    def _by_layer(self) -> Forecast | None:
        """What accumulates first sends exactly what is forecast."""
        network = self._job.network
        return None if network.coding.accumulates else Forecast(network, self._tensors)

    def part(self, stretch: Stretch) -> Part:
        """Return what is found on some samples."""
        found = Part(self._job, len(stretch.samples))
        steps = self._job.network.coding.steps
        tallies = [Tally(item, steps) for item in found.neurons]
        readouts = []
        for item in self._computed(stretch):
            for tally in tallies:
                tally.add(item.activity)
            readouts.append(self._add(found, item))
        for tally in tallies:
            tally.settle()
        self._answer(found, [np.concatenate(item) for item in zip(*readouts, strict=True)], stretch)
        return found

    def _computed(self, stretch: Stretch) -> Iterator[_Computed]:
        """Compute all that is compared, in order; where threads share the work, somewhat ahead."""
        starts = range(0, len(stretch.samples), self._at_once)
        if self._threads == 1:
            yield from (self._compute(stretch, at) for at in starts)
            return
        with ThreadPoolExecutor(self._threads) as threads:
            ahead = deque[Future[_Computed]]()
            for at in starts:
                ahead.append(threads.submit(self._compute, stretch, at))
                if len(ahead) > self._threads:
                    yield ahead.popleft().result()
            yield from (item.result() for item in ahead)

    def _compute(self, stretch: Stretch, at: int) -> _Computed:
        """Run ANN, spiking network and forecast on some samples."""
        network, first = self._job.network, stretch.first + at
        samples = stretch.samples[at : at + self._at_once]
        seen = network.model.summed(samples)
        closely = min(max(0, looked_at(network) - first), len(samples))
        ann, by_layer = self._wanted(seen, closely)
        began = time.perf_counter()
        activity = self._simulated(samples, first)
        seconds = (time.perf_counter() - began) / self._threads
        forecasts = self._forecasts(samples, first, activity.logits)
        return _Computed(first, seen, closely, ann, by_layer, activity, forecasts, seconds)

    def _simulated(self, samples: np.ndarray, first: int) -> Activity:
        """Simulate samples; the first ones alone, since that builds what all threads use."""
        if self._built:
            return self._simulator.run(samples, first=first, record=True)
        with self._making:
            found = self._simulator.run(samples, first=first, record=True)
            self._built = True
        return found

    def _add(self, found: Part, item: _Computed) -> list[np.ndarray]:
        """Add some samples; return readouts of ANN, forecast, SNN, and of this after each step."""
        activity, closely = item.activity, item.closely
        assert activity.logits_by_step is not None
        forecast = None
        if self._by_layer and closely:
            forecast = self._by_layer.activations(item.seen[:closely])
        found.deviations.add(activity, item.by_layer, forecast, count=closely, first=item.first)
        found.arrived += np.abs(item.seen).sum(axis=0, dtype=np.float64)
        found.samples += len(item.seen)
        found.seconds += item.seconds
        return [item.ann, item.forecasts, activity.logits, *activity.logits_by_step]

    def _wanted(
        self, seen: np.ndarray, closely: int
    ) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        """Return the ANN's logits, and its activations for the first samples, by tensor."""
        name, parts, by_layer = self._job.network.input_name, [], {}
        with self._making:
            layers = self._ann_by_layer if closely else None
            answers = self._ann if closely < len(seen) else None
        if layers:
            by_layer = layers({name: seen[:closely]})
            parts.append(by_layer[self._target])
        if answers:
            parts.append(answers({name: seen[closely:]})[self._target])
        return np.concatenate(parts), by_layer

    def _forecasts(self, samples: np.ndarray, first: int, simulated: np.ndarray) -> np.ndarray:
        """Return the logits that are forecast.

        Neurons that accumulate first send just what is forecast, and the embedded engine computes
        that in the same way: beyond a few samples, what it found is the forecast.
        """
        count = len(samples)
        if self._exact:
            count = min(max(0, forecast_of(self._job.network) - first), count)
        if not count:
            return simulated
        with self._making:
            forecast = self._forecast
        return np.concatenate([forecast.logits(samples[:count]), simulated[count:]])

    def _answer(self, found: Part, readouts: Sequence[np.ndarray], stretch: Stretch) -> None:
        """Add readouts of ANN, forecast, SNN, and of the SNN after each step, for each output."""
        model = self._job.network.model
        parts = [separate_outputs(model.parts.outputs, readout) for readout in readouts]
        for name, answers in found.answers.items():
            ann, forecast, snn, *by_step = (part[name] for part in parts)
            answers.add(
                ann,
                forecast,
                snn,
                np.stack(by_step),
                labels=stretch.labels[name],
                heads=partial(_behind_heads, model, name),
                first=stretch.first,
            )


def _behind_heads(model: Model, name: str, logits: np.ndarray) -> np.ndarray:
    outputs = model.parts.outputs
    output = next(item for item in outputs if item.name == name)
    return model.with_heads(beside(outputs, output, logits))[name]


def forecast_of(network: Network) -> int:
    """Return how many of the first samples are forecast where the simulation gives just that."""
    return -(-looked_at(network) // _FORECAST_SHARE)


@contextmanager
def comparison(job: Job) -> Iterator[Comparison]:
    """Build the network of a job; release it at the end.

    Raises:
        BackendError: The backend is missing or cannot run the network, or memory does not suffice.
    """
    size = 4 * ARRAYS * job.network.neurons
    require_room("a sample of all layers", size)
    with open_simulator(
        job.network, job.backend, batch_size=job.batch_size, **job.options
    ) as simulator:
        if not is_exact(job.network, simulator):
            yield Comparison(job, simulator)
            return
    size *= job.network.model.samples_in_cache
    threads = min(job.options.get("threads") or cores(), max(1, budget() // max(size, 1)))
    with open_simulator(
        job.network, EMBEDDED, **{**job.options, "threads": 1}, batch_size=job.batch_size
    ) as simulator:
        yield Comparison(job, simulator, threads=threads)


def is_exact(network: Network, simulator: Simulator) -> bool:
    """Whether it computes just what is forecast, and may do so for several threads."""
    return network.coding.accumulates and simulator.backend == EMBEDDED
