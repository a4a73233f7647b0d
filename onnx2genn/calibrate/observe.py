"""Calibration: run the ANN on samples once, and keep what all codings choose thresholds from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnx2genn.calibrate.statistics import Statistics
from onnx2genn.data import Progress
from onnx2genn.errors import CalibrationError
from onnx2genn.frontend.pipeline import fit
from onnx2genn.ir.graph import Shape
from onnx2genn.ir.inputs import separate_arrays
from onnx2genn.ir.model import Model
from onnx2genn.ir.run import samples_at_once

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
) -> Observation:
    """Run the ANN on calibration samples and gather statistics of what its neurons receive.

    Args:
        model: Canonical model.
        samples: Inputs [N, ...], as the network takes them.
        per_channel: Separate statistics for each channel (the first axis of a sample's tensor),
            which serve all codings. Those of whole tensors serve codings with one threshold.
        hold_out: Keep a few samples aside, to try thresholds on.
        progress: Called with the number of samples done and the total.

    Raises:
        CalibrationError: There are no samples, or the ANN computes what is not finite.
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
    signed = {item.tensor: found[item.name] for item in neurons if item.signed}
    size = sum(int(np.prod(model.graph.shapes[name])) for name in signed)
    fits = samples_at_once(2 * size, len(samples)) == len(samples)
    passes = _Passes(model, samples, 1 if fits else 2, progress)
    kept = []
    for tensors in passes.run([*signed, *(name for name, _ in plain)]):
        for name, statistics in plain:
            statistics.update(tensors[name])
        for name, statistics in signed.items():
            statistics.lower(tensors[name])
        if fits:
            kept.append({name: tensors[name] for name in signed})
    if signed and len(held):
        for tensors in model.activations([*signed], held):
            for name, statistics in signed.items():
                statistics.lower(tensors[name])
    # Only now it is known what signed values exceed.
    for tensors in kept if fits else passes.run([*signed]):
        for name, statistics in signed.items():
            statistics.update(tensors[name])
    return Observation(
        model=model,
        populations=found,
        readout=logits,
        per_channel=per_channel,
        input_scales=scales,
        count=count,
        samples=samples[:SIMULATED],
        held=held,
    )


def _scales(model: Model, samples: np.ndarray) -> dict[str, float]:
    parts = separate_arrays(model.entries, model.summed(samples))
    return {name: float(np.abs(part).max()) or 1.0 for name, part in parts.items()}


def _split(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hold a few samples out, from all over the set."""
    if len(samples) < _LEAST:
        return samples, samples[:0]
    count = min(_HELD_OUT, len(samples) // _ONE_IN)
    chosen = np.linspace(0, len(samples) - 1, count).astype(int)
    return np.delete(samples, chosen, axis=0), samples[chosen]


def _empty(shape: Shape, per_channel: bool, *, signed: bool = False) -> Statistics:
    return Statistics(channels=shape[0] if per_channel and shape else 1, signed=signed)


class _Passes:
    """Runs the ANN on all samples, once or more often, and says how far it is."""

    def __init__(
        self, model: Model, samples: np.ndarray, passes: int, progress: Progress | None
    ) -> None:
        self._model, self._samples, self._progress = model, samples, progress
        self._passes, self._done = passes, 0

    def run(self, names: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
        """Return some tensors, a few samples at a time."""
        for tensors in self._model.activations(names, self._samples):
            for name, values in tensors.items():
                if not np.isfinite(values).all():
                    raise CalibrationError(
                        f"The ANN computes infinite or undefined values in {name!r} on the "
                        "calibration samples. Check their scaling."
                    )
            yield tensors
            self._done += len(tensors[names[0]])
            if self._progress is not None:
                self._progress(self._done // self._passes, len(self._samples))
