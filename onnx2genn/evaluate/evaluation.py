"""Compare the spiking network with its ANN: accuracy, time, layers and cost."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx2genn.backends.base import Activity
from onnx2genn.backends.registry import open_simulator
from onnx2genn.data import Inputs, Progress, labels_for, prepare
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.evaluate.operations import SynapseCounter, macs
from onnx2genn.ir.graph import Shape
from onnx2genn.ir.partition import Population
from onnx2genn.ir.run import session

if TYPE_CHECKING:
    from onnx2genn.network import Network

_NEAR_CHANCE = 1.5


@dataclass(frozen=True, kw_only=True)
class PopulationActivity:
    """What one population did.

    Attributes:
        name: Name of the population.
        node: Name of the ONNX node.
        kind: Operator of the ONNX node.
        shape: Shape without the batch axis.
        neurons: Number of neurons.
        threshold: Smallest and largest threshold, in ANN units.
        spikes: Spikes of all neurons over all samples.
        correlation: Pearson correlation of the decoded activity with the ANN's activation over
            all neurons and samples; None where one of them does not vary.
        saturated: Share of neurons and samples that send the highest code.
        silent: Share of neurons that never fired.
    """

    name: str
    node: str
    kind: str
    shape: Shape
    neurons: int
    threshold: tuple[float, float]
    spikes: int
    correlation: float | None
    saturated: float
    silent: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a spiking network does against its ANN, on the same samples.

    Accuracies are shares between 0 and 1, and None without labels.

    Attributes:
        model: Name of the model.
        coding: Name of the coding.
        steps: Time steps of a window.
        latency_steps: Steps from the presentation of a sample to the answer.
        backend: Backend that ran the network.
        samples: Number of samples.
        ann_accuracy: Of the ANN, by onnxruntime.
        forecast_accuracy: Of the ANN with its activations rounded to the coding's values.
        snn_accuracy: Of the spiking network.
        agreement: Share of samples for which SNN and ANN choose the same class.
        accuracy_by_step: Of the readout after each step of its window.
        agreement_by_step: Likewise for the agreement.
        logits_error: Root mean square of the logits' error over the standard deviation of the
            ANN's logits.
        spikes_per_sample: Spikes of all populations.
        sops_per_sample: Synaptic operations: one spike arriving over one synapse. A constant
            input current causes none; it costs the multiply-accumulates of the first segment once.
        macs_per_sample: Multiply-accumulates of the ANN.
        samples_per_second: Of the simulation, with spikes recorded.
        populations: Each population's activity.
    """

    model: str
    coding: str
    steps: int
    latency_steps: int
    backend: str
    samples: int
    ann_accuracy: float | None
    forecast_accuracy: float | None
    snn_accuracy: float | None
    agreement: float
    accuracy_by_step: list[float] | None
    agreement_by_step: list[float]
    logits_error: float
    spikes_per_sample: float
    sops_per_sample: float
    macs_per_sample: int
    samples_per_second: float
    populations: list[PopulationActivity] = field(default_factory=list)
    classes: int = 0

    @property
    def near_chance(self) -> bool:
        """Whether the ANN itself does hardly better than guessing."""
        return self.ann_accuracy is not None and self.ann_accuracy * self.classes < _NEAR_CHANCE

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return asdict(self)


def evaluate(
    network: Network,
    x: Inputs,
    y: np.ndarray | None = None,
    *,
    backend: str = "auto",
    batch_size: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Evaluation:
    """Run the ANN, the forecast and the SNN on the same samples and compare.

    Args:
        network: The spiking network.
        x: Samples [N, ...]; of several inputs, arrays by name or in the model's order.
        y: Labels [N].
        backend: Name of a backend, or ``auto``.
        batch_size: Samples simulated at once; chosen by the backend if None.
        progress: Called with the number of samples done and the total.
        options: Options of the backend.

    Raises:
        DataError: The samples or labels do not fit the model.
        BackendError: The backend is missing or cannot run the network.
    """
    samples = prepare(network.model, x)
    classes = _classes(network)
    labels = None if y is None else labels_for(classes, len(samples), y)
    tally = _Tally(network, labels)
    ann, forecast = _Ann(network), Forecast(network)
    with open_simulator(network, backend, batch_size=batch_size, **options) as simulator:
        for start in range(0, len(samples), simulator.batch_size):
            batch = samples[start : start + simulator.batch_size]
            logits, activations = ann.run(batch)
            began = time.perf_counter()
            activity = simulator.run(batch, first=start, record=True)
            tally.seconds += time.perf_counter() - began
            tally.add(start, batch, logits, activations, forecast.logits(batch), activity)
            if progress is not None:
                progress(start + len(batch), len(samples))
    return tally.result(simulator.backend, classes)


def predicted_classes(logits: np.ndarray) -> np.ndarray:
    """Choose classes from logits [..., classes]; a single logit says yes above 0."""
    return (logits[..., 0] > 0).astype(np.int64) if logits.shape[-1] == 1 else logits.argmax(-1)


def _classes(network: Network) -> int:
    outputs = int(np.prod(network.model.parts.readout.shape))
    return 2 if outputs == 1 else outputs


class _Ann:
    """The ANN by onnxruntime, with the activations that populations stand for."""

    def __init__(self, network: Network) -> None:
        self._entry = network.input_name
        self._populations = network.populations
        self._names = [network.model.parts.readout.target]
        self._names += [item.tensor for item in network.populations]
        wanted = [name for name in self._names if name != self._entry]
        self._runner = session(network.model.to_onnx(wanted))

    def run(self, batch: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return logits [N, classes] and activations by population [N, *shape]."""
        logits, *values = self._runner.run(self._names, {self._entry: batch})
        names = [item.name for item in self._populations]
        return logits.reshape(len(batch), -1), dict(zip(names, values, strict=True))


class _Moments:
    """Streamed Pearson correlation."""

    def __init__(self) -> None:
        self._sums = np.zeros(5)
        self._count = 0

    def add(self, a: np.ndarray, b: np.ndarray) -> None:
        a, b = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
        self._sums += (a.sum(), b.sum(), a @ a, b @ b, a @ b)
        self._count += a.size

    def correlation(self) -> float | None:
        a, b, aa, bb, ab = self._sums / max(self._count, 1)
        spread = (aa - a * a) * (bb - b * b)
        return float((ab - a * b) / np.sqrt(spread)) if spread > 0 else None


class _Tally:
    """Everything that is added up over the batches."""

    def __init__(self, network: Network, labels: np.ndarray | None) -> None:
        self._network = network
        self._labels = labels
        self._steps = network.coding.steps
        self._done = 0
        self._right = {"ann": 0, "forecast": 0, "snn": 0}
        self._agreed = 0
        self._right_by_step = np.zeros(self._steps)
        self._agreed_by_step = np.zeros(self._steps)
        self._squares = np.zeros(3)
        self._logits_seen = 0
        self._moments = {item.name: _Moments() for item in network.populations}
        self._saturated = dict.fromkeys(self._moments, 0.0)
        self._spikes = {item.name: np.zeros(item.shape) for item in network.populations}
        self._input_spikes = np.zeros(network.input_shape)
        self.seconds = 0.0

    def add(
        self,
        start: int,
        batch: np.ndarray,
        ann: np.ndarray,
        activations: dict[str, np.ndarray],
        forecast: np.ndarray,
        activity: Activity,
    ) -> None:
        """Add a batch whose first sample has the index ``start``."""
        n = len(batch)
        snn = activity.logits.reshape(n, -1)
        assert activity.logits_by_step is not None
        by_step = predicted_classes(activity.logits_by_step.reshape(self._steps, n, -1))
        chosen = predicted_classes(ann)
        self._done += n
        self._agreed += int((predicted_classes(snn) == chosen).sum())
        self._agreed_by_step += (by_step == chosen).sum(axis=1)
        self._squares += ((snn - ann) ** 2).sum(), (ann**2).sum(), ann.sum()
        self._logits_seen += ann.size
        if self._labels is not None:
            labels = self._labels[start : start + n]
            answers = {"ann": chosen, "forecast": predicted_classes(forecast.reshape(n, -1))}
            answers["snn"] = predicted_classes(snn)
            for key, answer in answers.items():
                self._right[key] += int((answer == labels).sum())
            self._right_by_step += (by_step == labels).sum(axis=1)
        if self._network.poisson:
            rate = np.abs(batch).sum(axis=0, dtype=np.float64) / self._network.input_scale
            self._input_spikes += rate * self._steps
        for item in self._network.populations:
            self._add_population(item, activations[item.name], activity)

    def _add_population(self, item: Population, wanted: np.ndarray, activity: Activity) -> None:
        assert activity.spikes is not None and activity.codes is not None
        codes = activity.codes[item.name]
        self._spikes[item.name] += activity.spikes[item.name].sum(axis=0, dtype=np.float64)
        self._saturated[item.name] += float((codes >= self._network.coding.quantiser.levels).sum())
        self._moments[item.name].add(self._network.decode(item, codes), wanted)

    def result(self, backend: str, classes: int) -> Evaluation:
        network, n = self._network, self._done
        labelled = self._labels is not None
        error, square, total = self._squares / self._logits_seen
        return Evaluation(
            model=network.model.graph.name,
            coding=network.coding.name,
            steps=self._steps,
            latency_steps=network.latency,
            backend=backend,
            samples=n,
            ann_accuracy=self._right["ann"] / n if labelled else None,
            forecast_accuracy=self._right["forecast"] / n if labelled else None,
            snn_accuracy=self._right["snn"] / n if labelled else None,
            agreement=self._agreed / n,
            accuracy_by_step=(self._right_by_step / n).tolist() if labelled else None,
            agreement_by_step=(self._agreed_by_step / n).tolist(),
            logits_error=float(np.sqrt(error / max(square - total**2, 1e-12))),
            spikes_per_sample=float(sum(item.sum() for item in self._spikes.values())) / n,
            sops_per_sample=self._synaptic_operations() / n,
            macs_per_sample=macs(network.model.graph),
            samples_per_second=n / self.seconds,
            populations=[self._population(item) for item in network.populations],
            classes=classes,
        )

    def _synaptic_operations(self) -> float:
        spikes = {item.tensor: self._spikes[item.name] for item in self._network.populations}
        if self._network.poisson:
            spikes[self._network.input_name] = self._input_spikes
        segments = [item.synapses for item in self._network.populations]
        segments.append(self._network.model.parts.readout)
        return sum(SynapseCounter(segment).count(spikes) for segment in segments)

    def _population(self, item: Population) -> PopulationActivity:
        threshold = self._network.thresholds[item.name]
        spikes = self._spikes[item.name]
        return PopulationActivity(
            name=item.name,
            node=item.node.name,
            kind=item.kind,
            shape=item.shape,
            neurons=spikes.size,
            threshold=(float(threshold.min()), float(threshold.max())),
            spikes=round(float(spikes.sum())),
            correlation=self._moments[item.name].correlation(),
            saturated=self._saturated[item.name] / (spikes.size * self._done),
            silent=float((spikes == 0).mean()),
        )
