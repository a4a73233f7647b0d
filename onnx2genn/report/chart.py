"""The chart of the first output's metric over time steps, as places in a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnx2genn.evaluate.result import Evaluation
from onnx2genn.report.scores import agreement

_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 408, 12, 196
_LONG_WINDOW = 40
_FLOORS = (0.9, 0.8, 0.5, 0.0)


@dataclass(frozen=True, kw_only=True)
class Reached:
    """The step from which on the measure stays within some points of the ANN's; None if none."""

    points: float
    step: int | None


@dataclass(frozen=True, kw_only=True)
class Chart:
    """The metric, or the agreement with the ANN where there are no labels, after each step.

    Attributes:
        measure: Its name.
        ann: That of the ANN.
        forecast: That of the forecast; None without labels.
        final: That of the SNN at the end.
        reached: When the SNN comes near to the ANN for good.
        line: Points of the SNN's line, in the syntax of SVG.
        floor: Share at the foot of the vertical axis.
        ticks: Steps along the axis, with their places.
        logarithmic: Whether the axis of steps is.
        marks: Steps of ``reached`` with their places (points, step, x, y).
    """

    measure: str
    ann: float
    forecast: float | None
    final: float
    reached: list[Reached]
    line: str
    floor: float
    ticks: list[tuple[int, float]]
    logarithmic: bool
    marks: list[tuple[float, int, float, float]]

    def height(self, share: float) -> float:
        """Return the place of a share on the vertical axis."""
        return _height(share, self.floor)


def chart(evaluation: Evaluation) -> Chart:
    """Lay out the chart."""
    score = evaluation.score
    if score.by_step is None or score.ann is None:
        values, measure, ann = score.to_ann_by_step, f"{agreement(score)} with the ANN", 1.0
    else:
        values, measure, ann = score.by_step, score.share_title, score.share(score.ann)
    by_step = [score.share(value) for value in values]
    forecast = None if score.forecast is None else score.share(score.forecast)
    reached = [
        Reached(points=points, step=_reached(by_step, ann - points / 100)) for points in (1.0, 0.1)
    ]
    places = _places(len(by_step))
    lowest = min(*by_step, ann, ann if forecast is None else forecast)
    floor = next(share for share in _FLOORS if share <= lowest)
    heights = [_height(share, floor) for share in by_step]
    return Chart(
        measure=measure,
        ann=ann,
        forecast=forecast,
        final=by_step[-1],
        reached=reached,
        line=" ".join(f"{x},{y}" for x, y in zip(places, heights, strict=True)),
        floor=floor,
        ticks=[(step, places[step - 1]) for step in _ticks(len(by_step))],
        logarithmic=len(by_step) > _LONG_WINDOW,
        marks=[
            (item.points, item.step, places[item.step - 1], heights[item.step - 1])
            for item in reached
            if item.step is not None
        ],
    )


def _height(share: float, floor: float) -> float:
    return round(_BOTTOM - (share - floor) / (1 - floor) * (_BOTTOM - _TOP), 1)


def _reached(by_step: list[float], wanted: float) -> int | None:
    """Return the first step from which on no value is below the one wanted."""
    below = [step for step, share in enumerate(by_step, 1) if share < wanted - 1e-9]
    first = below[-1] + 1 if below else 1
    return first if first <= len(by_step) else None


def _places(steps: int) -> list[float]:
    span = _RIGHT - _LEFT
    if steps == 1:
        return [_LEFT + span / 2]
    if steps > _LONG_WINDOW:
        shares = [math.log(step) / math.log(steps) for step in range(1, steps + 1)]
    else:
        shares = [step / (steps - 1) for step in range(steps)]
    return [round(_LEFT + share * span, 1) for share in shares]


def _ticks(steps: int) -> list[int]:
    if steps > _LONG_WINDOW:
        return [step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000) if step <= steps]
    every = next(size for size in (1, 2, 5, 10) if steps <= 8 * size)
    return [step for step in range(1, steps + 1) if step == 1 or step % every == 0]
