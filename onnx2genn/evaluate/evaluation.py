"""Compare the spiking network with its ANN: accuracy, time, layers and cost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnx2genn.backends.registry import open_simulator
from onnx2genn.data import Inputs, Progress, prepare
from onnx2genn.errors import DataError
from onnx2genn.evaluate.answers import Answers, Heads
from onnx2genn.evaluate.errors_by_cause import Deviations
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.evaluate.neurons import Neurons
from onnx2genn.evaluate.operations import SynapseCounter, current_macs, macs
from onnx2genn.evaluate.result import Evaluation, Projection
from onnx2genn.ir.inputs import separate_arrays
from onnx2genn.ir.outputs import Output, separate_outputs
from onnx2genn.network import Network

Truth = np.ndarray | Mapping[str, np.ndarray] | None
"""What the answers should be, of several outputs by name."""


def evaluate(
    network: Network,
    x: Inputs,
    y: Truth = None,
    *,
    backend: str = "auto",
    metric: str | None = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Evaluation:
    """Run the ANN, the forecast and the SNN on the same samples and compare.

    Args:
        network: The spiking network.
        x: Samples [N, ...]; of several inputs, arrays by name or in the model's order.
        y: What the answers should be: labels [N], or one for each position, or values in the
            shape of the output; of several outputs, arrays by name, or one for the first.
        metric: One of ``METRICS``; by default the one that suits the output.
        backend: Name of a backend, or ``auto``.
        batch_size: Samples simulated at once; chosen by the backend if None.
        progress: Called with the number of samples done and the total.
        options: Options of the backend.

    Raises:
        CodingError: There is no such metric.
        DataError: The samples, the labels or the metric do not fit the model.
        BackendError: The backend is missing or cannot run the network.
    """
    samples = prepare(network.model, x)
    entry, target = network.input_name, network.model.parts.readout.target
    answers = _answers(network, len(samples), y, metric)
    neurons = [Neurons(network, item) for item in network.populations]
    arrived, seconds = np.zeros(network.input_shape), 0.0
    ann = network.model.runner([target, *(item.tensor for item in network.populations)])
    forecast, deviations = Forecast(network), Deviations(network)
    with open_simulator(network, backend, batch_size=batch_size, **options) as simulator:
        for start in range(0, len(samples), simulator.batch_size):
            batch = samples[start : start + simulator.batch_size]
            wanted = ann({entry: batch})
            began = time.perf_counter()
            activity = simulator.run(batch, first=start, record=True)
            seconds += time.perf_counter() - began
            assert activity.logits_by_step is not None
            _add(
                answers,
                [wanted[target], forecast.logits(batch), activity.logits, *activity.logits_by_step],
                network.model.parts.outputs,
            )
            for item in neurons:
                item.add(activity, wanted)
            deviations.add(batch, activity, wanted)
            arrived += np.abs(batch).sum(axis=0, dtype=np.float64)
            if progress is not None:
                progress(start + len(batch), len(samples))
    spikes = {item.population.tensor: item.spikes for item in neurons}
    total = sum(float(item.sum()) for item in spikes.values())
    if network.poisson:
        spikes[entry] = arrived / network.input_scale * network.coding.steps
    projections = _projections(network, spikes, len(samples))
    return Evaluation(
        model=network.model.graph.name,
        coding=network.coding.name,
        steps=network.coding.steps,
        latency_steps=network.latency,
        backend=simulator.backend,
        samples=len(samples),
        scores=[item.score() for item in answers.values()],
        spikes_per_sample=total / len(samples),
        sops_per_sample=sum(item.sops for item in projections),
        macs_per_sample=macs(network.model.graph),
        samples_per_second=len(samples) / seconds,
        populations=[item.result(deviations.of(item.population)) for item in neurons],
        settings=str(network.coding),
        calibration_samples=network.calibration_samples,
        inputs=network.model.parts.inputs,
        input_ranges=_input_ranges(network, samples),
        projections=projections,
        differences=next(iter(answers.values())).differences,
    )


def _answers(network: Network, samples: int, y: Truth, metric: str | None) -> dict[str, Answers]:
    """Make what compares the answers of each output."""
    outputs = network.model.parts.outputs
    truths: Mapping[str, np.ndarray] = y if isinstance(y, Mapping) else {}
    if y is not None and not isinstance(y, Mapping):
        truths = {outputs[0].name: np.asarray(y)}
    if unknown := truths.keys() - {item.name for item in outputs}:
        raise DataError(
            f"y has answers for {', '.join(sorted(unknown))}; the network has the outputs "
            f"{', '.join(item.name for item in outputs)}."
        )

    def heads(output: Output) -> Heads:
        return lambda logits: network.model.with_heads(logits)[output.name]

    return {
        item.name: Answers(
            item, network.coding.steps, samples, truths.get(item.name), metric, heads(item)
        )
        for item in outputs
    }


def _add(
    answers: Mapping[str, Answers], readouts: Sequence[np.ndarray], outputs: Sequence[Output]
) -> None:
    """Add readouts of ANN, forecast, SNN, and of the SNN after each step, output by output."""
    parts = [separate_outputs(outputs, readout) for readout in readouts]
    for name, item in answers.items():
        ann, forecast, snn, *by_step = (part[name] for part in parts)
        item.add(ann, forecast, snn, np.stack(by_step))


def _input_ranges(network: Network, samples: np.ndarray) -> dict[str, tuple[float, float | None]]:
    parts = separate_arrays(network.entries, samples)
    return {
        name: (float(np.abs(part).max()), network.input_scales.get(name))
        for name, part in parts.items()
    }


def _projections(network: Network, spikes: dict[str, np.ndarray], samples: int) -> list[Projection]:
    names = {item.tensor: item.name for item in network.populations}
    segments = {item.name: item.synapses for item in network.populations}
    readout = network.model.parts.readout
    return [
        Projection(
            target=target,
            sources=[names.get(source, source) for source in segment.sources],
            operators=list(dict.fromkeys(node.op for node in segment.nodes)),
            shape=segment.shape,
            sops=SynapseCounter(segment).count(spikes) / samples,
            current_macs=0 if network.poisson else current_macs(segment, network.input_name),
        )
        for target, segment in [*segments.items(), (readout.target, readout)]
    ]
