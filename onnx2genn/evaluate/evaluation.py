"""Compare the spiking network with its ANN: accuracy, time, layers and cost."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from onnx2genn.backends.registry import open_simulator
from onnx2genn.data import Inputs, Progress, labels_for, prepare
from onnx2genn.evaluate.answers import Answers
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.evaluate.neurons import Neurons
from onnx2genn.evaluate.operations import SynapseCounter, current_macs, macs
from onnx2genn.evaluate.result import Evaluation, Projection
from onnx2genn.network import Network


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
    entry, target = network.input_name, network.model.parts.readout.target
    outputs = int(np.prod(network.model.parts.readout.shape))
    classes = 2 if outputs == 1 else outputs
    labels = None if y is None else labels_for(classes, len(samples), y)
    answers = Answers(network.coding.steps, labels)
    neurons = [Neurons(network, item) for item in network.populations]
    arrived, seconds = np.zeros(network.input_shape), 0.0
    ann = network.model.runner([target, *(item.tensor for item in network.populations)])
    forecast = Forecast(network)
    with open_simulator(network, backend, batch_size=batch_size, **options) as simulator:
        for start in range(0, len(samples), simulator.batch_size):
            batch = samples[start : start + simulator.batch_size]
            wanted = ann({entry: batch})
            began = time.perf_counter()
            activity = simulator.run(batch, first=start, record=True)
            seconds += time.perf_counter() - began
            assert activity.logits_by_step is not None
            answers.add(
                wanted[target], forecast.logits(batch), activity.logits, activity.logits_by_step
            )
            for item in neurons:
                item.add(activity, wanted)
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
        ann_accuracy=answers.accuracy("ann"),
        forecast_accuracy=answers.accuracy("forecast"),
        snn_accuracy=answers.accuracy("snn"),
        agreement=answers.agreement,
        accuracy_by_step=answers.accuracy_by_step,
        agreement_by_step=answers.agreement_by_step,
        logits_error=answers.logits_error,
        spikes_per_sample=total / len(samples),
        sops_per_sample=sum(item.sops for item in projections),
        macs_per_sample=macs(network.model.graph),
        samples_per_second=len(samples) / seconds,
        populations=[item.result() for item in neurons],
        classes=classes,
        settings=str(network.coding),
        calibration_samples=network.calibration_samples,
        inputs=network.model.parts.inputs,
        projections=projections,
        differences=answers.differences,
    )


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
