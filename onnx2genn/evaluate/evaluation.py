"""Compare the spiking network with its ANN: accuracy, time, layers and cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from onnx2genn.data import Inputs, Progress
from onnx2genn.errors import DataError
from onnx2genn.evaluate.answers import Question, question
from onnx2genn.evaluate.comparison import Job, Part, Stretch, comparison
from onnx2genn.evaluate.elsewhere import elsewhere
from onnx2genn.evaluate.operations import macs, projections
from onnx2genn.evaluate.result import Evaluation
from onnx2genn.evaluate.resume import Progressed
from onnx2genn.evaluate.spread import hands
from onnx2genn.ir.inputs import separate_arrays
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
    class_names: Sequence[str] = (),
    batch_size: int | None = None,
    progress: Progress | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
    resume: Path | None = None,
    **options: Any,
) -> Evaluation:
    """Run the ANN, the forecast and the SNN on the same samples and compare.

    The samples are cut into stretches, and what is found on each is added up in their order, so
    that the result is the same wherever they are computed.

    Args:
        network: The spiking network.
        x: Samples [N, ...]; of several inputs, arrays by name or in the model's order.
        y: What the answers should be: labels [N], or one for each position, or values in the
            shape of the output; of several outputs, arrays by name, or one for the first.
        metric: One of ``METRICS``; by default the one that suits the output.
        class_names: Names of the classes of the first output, in their order, if they have some.
        backend: Name of a backend, or ``auto``.
        batch_size: Samples simulated at once; chosen by the backend if None.
        progress: Called with the number of samples done and the total.
        executor: Runs the stretches; with None this process does.
        workers: Number of processes of this machine to run them, in place of an executor.
        resume: File that keeps what was found, from which the same evaluation goes on.
        options: Options of the backend.

    Raises:
        CodingError: There is no such metric, or there are an executor and workers.
        DataError: The samples, the labels, the metric or the file do not fit the model.
        BackendError: The backend is missing or cannot run the network.
    """
    samples = network.prepare(x)
    questions, labels = _questions(network, len(samples), y, metric)
    _require_all(class_names, next(iter(questions.values())))
    job = Job(
        network=network,
        questions=questions,
        backend=backend,
        batch_size=batch_size,
        options=options,
    )
    found = Part(job)
    with ExitStack() as stack:
        # It builds the network, also for workers, which find what was compiled.
        here = stack.enter_context(comparison(job))
        kept = Progressed(resume, job, samples, labels, here.batch_size)
        kept.restore(found)
        stretches = _stretches(samples, labels, found.samples, here.batch_size)
        most = -(-len(samples) // here.batch_size)
        used = stack.enter_context(hands(executor, workers, most))
        parts = map(here.part, stretches) if used is None else elsewhere(job, stretches, used)
        for part in parts:
            found.merge(part)
            kept.save(found)
            if progress is not None:
                progress(found.samples, len(samples))
    return replace(_result(job, found, samples, here.backend), class_names=[*class_names])


def _questions(
    network: Network, samples: int, y: Truth, metric: str | None
) -> tuple[dict[str, Question], dict[str, np.ndarray | None]]:
    """Find out what is asked of each output, and what the answers should be."""
    outputs = network.model.parts.outputs
    truths: Mapping[str, np.ndarray] = y if isinstance(y, Mapping) else {}
    if y is not None and not isinstance(y, Mapping):
        truths = {outputs[0].name: np.asarray(y)}
    if unknown := truths.keys() - {item.name for item in outputs}:
        raise DataError(
            f"y has answers for {', '.join(sorted(unknown))}; the network has the outputs "
            f"{', '.join(item.name for item in outputs)}."
        )
    found = {
        item.name: question(item, network.coding.steps, samples, truths.get(item.name), metric)
        for item in outputs
    }
    return (
        {name: asked for name, (asked, _) in found.items()},
        {name: labels for name, (_, labels) in found.items()},
    )


def _require_all(names: Sequence[str], asked: Question) -> None:
    """Refuse names of some of the classes: it is not known which."""
    if names and asked.task.classes != len(names):
        raise DataError(
            f"There are {len(names):,} classes by name ({', '.join(names[:3])} ...), and the "
            f"output {asked.output.name!r} has {asked.task.classes:,}: which is which is not "
            "known. Have a folder for each class, be it empty, or give labels as numbers."
        )


def _stretches(
    samples: np.ndarray, labels: Mapping[str, np.ndarray | None], start: int, size: int
) -> Iterator[Stretch]:
    """Cut the samples; the cuts are the same for any number of workers."""
    for first in range(start, len(samples), size):
        part = slice(first, first + size)
        yield Stretch(
            first=first,
            samples=samples[part],
            labels={name: None if item is None else item[part] for name, item in labels.items()},
        )


def _result(job: Job, found: Part, samples: np.ndarray, backend: str) -> Evaluation:
    network, count = job.network, found.samples
    spikes = {item.population.tensor: item.spikes for item in found.neurons}
    total = sum(float(item.sum()) for item in spikes.values())
    entry = network.input_name
    if network.spiking_input:
        spikes[entry] = found.arrived / network.units[entry] * network.coding.steps
    streams = network.streams_with(job.options.get("relays"))
    ways = projections(network, streams, {name: item / count for name, item in spikes.items()})
    answers, compared = list(found.answers.values()), found.deviations
    populations = [
        item.result(compared.correlation(item.population), compared.of(item.population))
        for item in found.neurons
    ]
    return Evaluation(
        model=network.model.graph.name,
        coding=network.coding.name,
        steps=network.coding.steps,
        latency_steps=network.latency_of(streams),
        backend=backend,
        samples=count,
        scores=[item.score() for item in answers],
        spikes_per_sample=total / count,
        sops_per_sample=sum(item.sops for item in ways),
        macs_per_sample=macs(network.model.graph),
        samples_per_second=count / found.seconds,
        populations=populations,
        settings=str(network.coding),
        saving=network.saving,
        calibration_samples=network.calibration_samples,
        inputs=network.model.parts.inputs,
        input_ranges=_input_ranges(network, samples),
        projections=ways,
        differences=answers[0].differences,
        confusion=answers[0].confusion,
    )


def _input_ranges(network: Network, samples: np.ndarray) -> dict[str, tuple[float, float | None]]:
    parts = separate_arrays(network.entries, network.model.summed(samples))
    return {
        name: (float(np.abs(part).max()), network.input_scales.get(name))
        for name, part in parts.items()
    }
