"""Activations of each population with the levels of the coding, as places in a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnx2genn.evaluate.result import Evaluation, PopulationActivity

WIDTH, HEIGHT, LEFT, BASE = 240, 112, 6, 100
_TOP = 8


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """The picture of one population.

    Attributes:
        bars: Places (x, y, width, height) of the bars, whose heights are logarithmic.
        identity: Line on which decoded and original activity are the same.
        response: Mean of what was decoded, by the activation of the ANN.
        top: Place of the largest value that spikes can express; None beyond the picture.
        calibrated: Likewise of the largest activation on the calibration samples.
        end: Activation at the right end.
    """

    bars: list[tuple[float, float, float, float]]
    identity: str
    response: str
    top: float | None
    calibrated: float | None
    end: float


def histograms(evaluation: Evaluation) -> dict[str, Histogram]:
    """Draw the populations that have activations, by their names."""
    return {
        item.name: _histogram(item)
        for item in evaluation.populations
        if item.deviation.response is not None and item.deviation.response.end > 0
    }


def _histogram(item: PopulationActivity) -> Histogram:
    response = item.deviation.response
    assert response is not None
    width = (WIDTH - 2 * LEFT) / len(response.counts)
    highest = math.log1p(max(response.counts))
    bars = []
    for index, count in enumerate(response.counts):
        height = (BASE - _TOP) * math.log1p(count) / highest
        bars.append((LEFT + index * width, BASE - height, width - 1, height))

    def across(value: float | None) -> float | None:
        if value is None or not 0 <= value <= response.end:
            return None
        return LEFT + value / response.end * (WIDTH - 2 * LEFT)

    def up(value: float) -> float:
        share = min(max(value / response.end, 0.0), 1.0)
        return BASE - share * (BASE - _TOP)

    points = [
        (LEFT + (index + 0.5) * width, up(value))
        for index, value in enumerate(response.decoded)
        if value is not None
    ]
    return Histogram(
        bars=bars,
        identity=f"M{LEFT} {BASE}L{WIDTH - LEFT} {_TOP}",
        response=" ".join(f"{x:.1f},{y:.1f}" for x, y in points),
        top=across(item.deviation.top),
        calibrated=across(item.deviation.calibrated),
        end=response.end,
    )
