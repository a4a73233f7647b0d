"""The fewest time steps with which the spiking network still answers as its ANN does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2genn.backends.registry import EMBEDDED, predict
from onnx2genn.calibrate.encode import encode, require_expressible
from onnx2genn.calibrate.observe import SIMULATED, observe
from onnx2genn.coding import Coding
from onnx2genn.data import Progress
from onnx2genn.errors import CalibrationError, CodingError
from onnx2genn.evaluate.answers import predicted_classes
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.ir.model import Model
from onnx2genn.network import Network

DEFAULT_LOSS = 0.01


def encode_with_fewest_steps(
    model: Model,
    coding: Coding,
    samples: np.ndarray,
    *,
    loss: float | None = None,
    progress: Progress | None = None,
) -> Network:
    """Encode a model with the shortest window that keeps its answers.

    The window doubles until the share of calibration samples for which the ANN chooses another
    class is at most ``loss``, and is then narrowed down. The answers are those of the forecast
    where neurons accumulate before they fire. Other codings lose more than their forecast says,
    so that a part of the samples is simulated.

    Args:
        model: Canonical model.
        coding: Coding, whose own ``steps`` do not matter.
        samples: Training samples [N, ...], as the network takes them.
        loss: Share of samples that may be answered differently, 0 to 1; 0.01 if None.
        progress: Called with the number of samples observed and the total.

    Raises:
        CalibrationError: There are no samples, or no window is long enough.
        CodingError: The loss is out of range.
    """
    loss = DEFAULT_LOSS if loss is None else loss
    if not 0 <= loss < 1:
        raise CodingError(f"loss={loss} is not a share in 0..1.")
    require_expressible(model, coding)
    seen = observe(
        model,
        samples,
        per_channel=coding.per_channel,
        hold_out=coding.tries,
        progress=progress,
    )
    # Neurons that fire while they integrate are simulated step by step, on fewer samples.
    compared = samples if coding.accumulates else samples[:SIMULATED]
    wanted = _choices_of_ann(seen.model, compared)

    def attempt(steps: int) -> Network | None:
        network = encode(seen, replace(coding, steps=steps))
        lost = np.mean(_choices(network, compared) != wanted)
        return network if lost <= loss else None

    below, steps = 0, 1
    while (found := attempt(steps)) is None:
        if steps >= coding.most_steps:
            raise CalibrationError(
                f"With {steps} steps, coding {coding.name!r} still answers more than a share of "
                f"{loss} of the calibration samples differently. Allow a greater loss, or choose "
                "another coding."
            )
        below, steps = steps, min(2 * steps, coding.most_steps)
    while found.coding.steps - below > 1:
        middle = (found.coding.steps + below) // 2
        network = attempt(middle)
        below, found = (middle, found) if network is None else (below, network)
    return found


def _choices_of_ann(model: Model, samples: np.ndarray) -> np.ndarray:
    target = model.parts.readout.target
    found = model.activations([target], samples)
    return np.concatenate([_chosen(tensors[target]) for tensors in found])


def _choices(network: Network, samples: np.ndarray) -> np.ndarray:
    if network.coding.accumulates:
        return _chosen(Forecast(network).logits(samples))
    return _chosen(predict(network, samples, EMBEDDED))


def _chosen(logits: np.ndarray) -> np.ndarray:
    return predicted_classes(logits.reshape(len(logits), -1))
