"""Calibration: run the ANN on samples once, and keep what all codings choose thresholds from."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from onnx2genn.calibrate.passes import Passes
from onnx2genn.calibrate.statistics import Statistics
from onnx2genn.data import Progress
from onnx2genn.errors import CalibrationError
from onnx2genn.evaluate.spread import hands
from onnx2genn.frontend.pipeline import fit
from onnx2genn.ir.graph import Shape
from onnx2genn.ir.inputs import separate_arrays
from onnx2genn.ir.model import Model

SIMULATED = 256  # A channel's mean over spikes needs no more samples.
_HELD_OUT, _LEAST, _ONE_IN = 48, 80, 8


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What the ANN did on calibration samples.

    Attributes:
        model: The model, fitted to the samples.
        populations: Statistics of what each population receives or, where it sends values of both
            signs, of what it sends above the smallest one; by name, none for pools.
        readout: Statistics of the logits.
        per_channel: Whether statistics are of each channel.
        input_scales: Largest magnitude of each input by name; 1 where it is 0.
        count: Number of samples.
        samples: The first of them, for what can only be found with spikes.
        held: Samples that the statistics leave out, to try thresholds on; none of fewer than 80.
    """

    model: Model
    populations: Mapping[str, Statistics]
    readout: Statistics
    per_channel: bool
    input_scales: Mapping[str, float]
    count: int
    samples: np.ndarray
    held: np.ndarray


def observe(
    model: Model,
    samples: np.ndarray,
    *,
    per_channel: bool = True,
    hold_out: bool = True,
    progress: Progress | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
) -> Observation:
    """Run the ANN on calibration samples and gather statistics of what its neurons receive.

    The statistics are the same to the last digit wherever and in whatever parts they are gathered.

    Args:
        model: Canonical model.
        samples: Inputs [N, ...], as the network takes them.
        per_channel: Separate statistics for each channel (the first axis of a sample's tensor),
            which serve all codings. Those of whole tensors serve codings with one threshold.
        hold_out: Keep a few samples aside, to try thresholds on.
        progress: Called with the number of samples done and the total.
        executor: Runs the ANN; with None this process does.
        workers: Number of processes of this machine to run it, in place of an executor.

    Raises:
        CalibrationError: There are no samples, or the ANN computes what is not finite.
        CodingError: There are an executor and workers.
        UnsupportedModelError: On these samples the model does not compute what its file computes.
    """
    if not len(samples):
        raise CalibrationError("There are no calibration samples. Give at least a hundred.")
    model = fit(model, samples)
    count, scales = len(samples), _scales(model, samples)
    samples, held = _split(samples) if hold_out else (samples, samples[:0])
    readout = model.parts.readout
    neurons = [item for item in model.parts.populations if not item.pools]
    found = {item.name: _empty(item.shape, per_channel, signed=item.signed) for item in neurons}
    # Elements of several outputs side by side are no channels.
    logits = _empty(readout.shape, per_channel and len(model.parts.outputs) == 1)
    plain = [(item.measured, found[item.name]) for item in neurons if not item.signed]
    plain.append((readout.target, logits))
    signed = [(item.tensor, found[item.name]) for item in neurons if item.signed]
    with ExitStack() as stack:
        passes = Passes(model, samples, 2 if signed else 1, progress)
        passes.hands = stack.enter_context(hands(executor, workers, passes.tasks))
        passes.gather(plain, lower=signed)
        if signed:
            if len(held):
                Passes(model, held, 1).gather([], lower=signed)
            # Only now it is known what signed values exceed.
            passes.gather(signed)
    return Observation(
        model=model,
        populations={name: item.settle() for name, item in found.items()},
        readout=logits.settle(),
        per_channel=per_channel,
        input_scales=scales,
        count=count,
        samples=samples[:SIMULATED],
        held=held,
    )


def _scales(model: Model, samples: np.ndarray) -> dict[str, float]:
    parts = separate_arrays(model.entries, model.summed(samples))
    return {name: float(max(part.max(), -part.min())) or 1.0 for name, part in parts.items()}


def _split(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hold a few samples out, from all over the set."""
    if len(samples) < _LEAST:
        return samples, samples[:0]
    count = min(_HELD_OUT, len(samples) // _ONE_IN)
    chosen = np.linspace(0, len(samples) - 1, count).astype(int)
    return np.delete(samples, chosen, axis=0), samples[chosen]


def _empty(shape: Shape, per_channel: bool, *, signed: bool = False) -> Statistics:
    return Statistics(channels=shape[0] if per_channel and shape else 1, signed=signed)
