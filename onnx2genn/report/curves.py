"""Quality over steps and over cost of several runs, as places in a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from onnx2genn.report.comparison import Run, best

_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 408, 12, 196


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One run in a picture.

    Attributes:
        label: Its name.
        points: Its line, in the syntax of SVG.
        x, y: Where it ends, or stands.
        front: Whether no other run is better and cheaper.
    """

    label: str
    points: str
    x: float
    y: float
    front: bool = False


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Curves with the ends of their axes, as they are to be written."""

    curves: list[Curve]
    low: str
    high: str
    first: str
    last: str


def over_steps(runs: Sequence[Run]) -> Picture:
    """Draw the metric, or the agreement with the ANN, after each step of the readout's window."""
    lines = [run.score["by_step"] or run.score["to_ann_by_step"] for run in runs]
    values = [value for line in lines for value in line]
    low, high = _range(values)
    longest = max(map(len, lines))
    curves = []
    for run, line in zip(runs, lines, strict=True):
        places = [
            (_across(step, 1, longest), _up(value, low, high))
            for step, value in enumerate(line, start=1)
        ]
        x, y = places[-1]
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        curves.append(Curve(label=run.label, points=points, x=x, y=y))
    return Picture(
        curves=curves, low=f"{low:.3g}", high=f"{high:.3g}", first="1", last=str(longest)
    )


def over_cost(runs: Sequence[Run]) -> Picture:
    """Draw quality against synaptic operations, which are on a logarithmic axis."""
    costs = [max(float(run.record["sops_per_sample"]), 1.0) for run in runs]
    qualities = [run.quality for run in runs]
    low, high = _range(qualities)
    left, right = math.log10(min(costs)), math.log10(max(costs))
    curves = [
        Curve(
            label=run.label,
            points="",
            x=_across(math.log10(cost), left, right),
            y=_up(quality, low, high),
            front=front,
        )
        for run, cost, quality, front in zip(runs, costs, qualities, best(runs), strict=True)
    ]
    return Picture(
        curves=curves,
        low=f"{low:.3g}",
        high=f"{high:.3g}",
        first=f"{min(costs):.3g}",
        last=f"{max(costs):.3g}",
    )


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _across(value: float, first: float, last: float) -> float:
    share = (value - first) / (last - first) if last > first else 0.5
    return _LEFT + share * (_RIGHT - _LEFT)


def _up(value: float, low: float, high: float) -> float:
    return _BOTTOM - (value - low) / (high - low) * (_BOTTOM - _TOP)
