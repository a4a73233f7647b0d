"""The fewest time steps with which the spiking network still answers as its ANN does."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace

import numpy as np

from onnx2genn.backends.registry import EMBEDDED, predict
from onnx2genn.calibrate.encode import Encoder
from onnx2genn.calibrate.held_out import HeldOut
from onnx2genn.calibrate.narrowing import with_fewer_digits
from onnx2genn.calibrate.observe import SIMULATED, observe
from onnx2genn.coding import Coding
from onnx2genn.data import Progress
from onnx2genn.errors import CalibrationError, CodingError
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.evaluate.metrics import chosen
from onnx2genn.evaluate.task import task_of
from onnx2genn.ir.model import Model
from onnx2genn.ir.outputs import beside, separate_outputs
from onnx2genn.network import Network

DEFAULT_LOSS = 0.01


def encode_with_fewest_steps(
    model: Model,
    coding: Coding,
    samples: np.ndarray,
    *,
    loss: float | None = None,
    metric: str | None = None,
    narrow: bool = True,
    progress: Progress | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
) -> Network:
    """Encode a model with the shortest window that keeps its answers.

    The window doubles until on the calibration samples the metric between SNN and ANN is off its
    best value by at most ``loss``, for every output, and is then narrowed down: with classes this
    is the share of samples for which the ANN chooses another one, with values the error as a share
    of their spread. The answers are those of the forecast
    where neurons accumulate before they fire. Other codings lose more than their forecast says,
    so that a part of the samples is simulated.

    Populations whose neurons accumulate first then get fewer digits, as far as the loss allows:
    with one step less everywhere it is exceeded, and between the two the error of the answers to
    samples that were held out says how far one may go.

    Args:
        model: Canonical model.
        coding: Coding, whose own ``steps`` do not matter.
        samples: Training samples [N, ...], as the network takes them.
        loss: What the metric may be off, 0 to 1; 0.01 if None. Of a metric in units, any number of
            these; it has to be given.
        metric: As for :func:`onnx2genn.evaluate.evaluation.evaluate`.
        narrow: Whether populations may have fewer digits than the window has.
        progress: Called with the number of samples observed and the total.
        executor: As for :func:`onnx2genn.calibrate.observe.observe`.
        workers: Likewise.

    Raises:
        CalibrationError: There are no samples, or no window is long enough.
        CodingError: The loss is out of range, or there is no such metric.
        DataError: An output has no answers for the metric.
    """
    judge = _Judge(model, metric)
    loss = judge.allowed(loss)
    seen = observe(
        model,
        samples,
        per_channel=coding.per_channel,
        hold_out=coding.tries,
        progress=progress,
        executor=executor,
        workers=workers,
    )
    # Neurons that fire while they integrate are simulated step by step, on fewer samples.
    compared = samples if coding.accumulates else samples[:SIMULATED]
    target = seen.model.parts.readout.target
    wanted = np.concatenate([part[target] for part in seen.model.activations([target], compared)])

    def lost(network: Network) -> float:
        return judge.lost(_readout(network, compared), wanted)

    tried: dict[int, tuple[Encoder, Network, float]] = {}

    def attempt(steps: int) -> Network | None:
        encoder = Encoder(seen, replace(coding, steps=steps))
        network = encoder.encode()
        tried[steps] = encoder, network, lost(network)
        return network if tried[steps][-1] <= loss else None

    below, steps = 0, 1
    while (found := attempt(steps)) is None:
        if steps >= coding.most_steps:
            raise CalibrationError(
                f"With {steps} steps, coding {coding.name!r} still loses more than {loss} of the "
                f"ANN's answers ({judge.names}) on the calibration samples. Allow a greater loss, "
                "or choose another coding."
            )
        below, steps = steps, min(2 * steps, coding.most_steps)
    while found.coding.steps - below > 1:
        middle = (found.coding.steps + below) // 2
        network = attempt(middle)
        below, found = (middle, found) if network is None else (below, network)
    if not (narrow and coding.accumulates) or below == 0:
        return found
    encoder, _, kept = tried[found.coding.steps]
    _, shorter, more = tried[below]
    # Answers change in proportion to their error: with less chance than those of some samples do.
    trial = HeldOut(seen)
    error, larger = trial.error(found), trial.error(shorter)
    limit = error + (loss - kept) / (more - kept) * (larger - error)
    return with_fewer_digits(trial, encoder, found, limit, lambda item: lost(item) <= loss)


def _readout(network: Network, samples: np.ndarray) -> np.ndarray:
    if network.coding.accumulates:
        return Forecast(network).logits(samples)
    return predict(network, samples, EMBEDDED)


class _Judge:
    """Compares readouts with the ANN's by the metric of each output."""

    def __init__(self, model: Model, metric: str | None) -> None:
        self._model, self._outputs = model, model.parts.outputs
        self._chosen = [chosen(task_of(item), metric, labelled=False) for item in self._outputs]

    @property
    def names(self) -> str:
        """The metrics."""
        return ", ".join(dict.fromkeys(metric.name for metric, _ in self._chosen))

    def allowed(self, loss: float | None) -> float:
        """Return the loss that is allowed, if it can be."""
        units = [metric.name for metric, _ in self._chosen if metric.units]
        if loss is None and units:
            raise CodingError(f"{units[0]} is in the units of the output: say which loss is right.")
        loss = DEFAULT_LOSS if loss is None else loss
        if loss < 0 or (loss >= 1 and not units):
            raise CodingError(f"loss={loss} is not a share in 0..1.")
        return loss

    def lost(self, readout: np.ndarray, wanted: np.ndarray) -> float:
        """Return what the worst output loses."""
        ours, anns = (separate_outputs(self._outputs, item) for item in (readout, wanted))
        losses = []
        for output, (kind, task) in zip(self._outputs, self._chosen, strict=True):
            metric, pair = kind(task), [ours[output.name], anns[output.name]]
            if task.heads:
                rows = [beside(self._outputs, output, item) for item in pair]
                pair = [self._model.with_heads(item)[output.name] for item in rows]
            metric.add(pair[0], task.targets(pair[1]))
            losses.append(metric.loss(metric.value()))
        return max(losses)
