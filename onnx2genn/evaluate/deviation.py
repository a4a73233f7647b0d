"""What separates the activity of a population from the ANN's, as plain values."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Response:
    """What was decoded, by the activation of the ANN, in equal bins from 0 on.

    Both are above the lowest value that the population sends, in ANN units.

    Attributes:
        end: Upper end of the last bin.
        counts: Activations in each bin.
        decoded: Mean of what was decoded for them; None where there are none.
    """

    end: float
    counts: list[int]
    decoded: list[float | None]


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """What separates the activity of a population from the ANN's, on the first samples.

    They are 256 at most, and fewer where there are more than a quarter of a million neurons.

    Shares are mean squares in units of the variance of the ANN's activations.

    Attributes:
        error: Of the decoded activity; None where the ANN's does not vary.
        clipping: Of what is above the highest level.
        rounding: Of rounding the ANN's own activations to levels.
        unevenness: Between the activity and the forecast.
        inherited: Between the forecast and the rounded activations of the ANN.
        largest: Largest activation of the ANN above the lowest value that is sent, in ANN units.
        top: Largest value that spikes can express, likewise.
        calibrated: ``largest`` on the calibration samples; None if that is not known.
        response: What was decoded, by the activation of the ANN, on a fourth of these samples.
    """

    error: float | None = None
    clipping: float = 0.0
    rounding: float = 0.0
    unevenness: float = 0.0
    inherited: float = 0.0
    largest: float = math.nan
    top: float = math.nan
    calibrated: float | None = None
    response: Response | None = None
