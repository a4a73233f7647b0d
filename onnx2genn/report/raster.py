"""What one sample does in the network: spikes and potentials, as places in a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from onnx2genn.backends.recording import Events, Recording
from onnx2genn.errors import DataError
from onnx2genn.evaluate.result import Evaluation, PopulationActivity

_WIDTH, _LEFT, _TITLE, _GAP, _FOOT = 420, 8, 16, 8, 38
_MOST_ROWS, _LEAST_ROW, _LEAST_BAND = 48, 2.0, 16.0
_TICKS = 8


@dataclass(frozen=True, kw_only=True)
class Band:
    """The spikes of one population.

    Attributes:
        label: Name of its ONNX node.
        neurons: How many it has.
        shown: How many of them are drawn.
        top, x, width, height: Place of its window.
        spikes: Lines of the spikes, in the syntax of SVG.
        negative: Likewise of those that stand for negative values.
    """

    label: str
    neurons: int
    shown: int
    top: float
    x: float
    width: float
    height: float
    spikes: str
    negative: str


@dataclass(frozen=True, kw_only=True)
class Raster:
    """The spikes of one sample over time, population below population.

    Attributes:
        sample: Its place in the data.
        width, height, left: Of the picture.
        bands: The populations.
        ticks: Time steps along the axis, with their places.
    """

    sample: int
    width: int
    height: float
    left: int
    bands: list[Band]
    ticks: list[tuple[int, float]]


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The potential of one neuron.

    Attributes:
        node, neuron: Whose it is.
        width, height, left, right, top, bottom: Of the picture, and of what is drawn in it.
        zero: Height of the potential 0.
        low, high: Ends of the vertical axis, as they are written.
        first, last: Ends of the window, likewise.
        line: The potential, in the syntax of SVG.
        spikes: Lines where it fires.
    """

    node: str
    neuron: int
    zero: float
    low: str
    high: str
    first: int
    last: int
    line: str
    spikes: str
    width: int = 240
    height: int = 112
    left: int = 44
    right: int = 232
    top: int = 16
    bottom: int = 94


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A sample whose spikes, and neurons whose potentials, are drawn.

    Attributes:
        recording: What was recorded; of its first sample.
        sample: Place of that in the data; None for that in the recording.
        neurons: Neurons by their places, by the name of the population or of its ONNX node.
    """

    recording: Recording
    sample: int | None = None
    neurons: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def raster(self, evaluation: Evaluation) -> Raster:
        """Draw its spikes."""
        sample = self.recording.first if self.sample is None else self.sample
        return _raster(evaluation, self.recording, sample)

    def traces(self, evaluation: Evaluation) -> list[Trace]:
        """Draw the potentials.

        Raises:
            DataError: There is no such population or neuron, or its potential was not recorded.
        """
        return _traces(evaluation, self.recording, self.neurons)


def _raster(evaluation: Evaluation, recording: Recording, sample: int) -> Raster:
    found = {item.name: item for item in evaluation.populations if item.name in recording.spikes}
    end = max(
        (events.start + events.period for events in recording.spikes.values()),
        default=evaluation.steps,
    )
    scale = (_WIDTH - 2 * _LEFT) / end
    bands: list[Band] = []
    top = float(_TITLE)
    for name, item in found.items():
        bands.append(_band(item, recording.spikes[name], recording.first, top, scale))
        top += bands[-1].height + _GAP + _TITLE
    every = next(size for size in _round_numbers() if end <= _TICKS * size)
    ticks = [(step, round(_LEFT + step * scale, 1)) for step in range(0, end + 1, every)]
    height = round(top - _TITLE + _FOOT, 1)
    return Raster(sample=sample, width=_WIDTH, height=height, left=_LEFT, bands=bands, ticks=ticks)


def _round_numbers() -> Iterator[int]:
    power = 1
    while True:
        yield from (power, 2 * power, 5 * power)
        power *= 10


def _band(item: PopulationActivity, events: Events, first: int, top: float, scale: float) -> Band:
    shown = np.unique(np.linspace(0, item.neurons - 1, min(item.neurons, _MOST_ROWS)).round())
    row = max(_LEAST_ROW, _LEAST_BAND / len(shown))
    chosen = (events.sample == first) & np.isin(events.neuron, shown)
    x = _LEFT + (events.start + events.step[chosen] + 0.5) * scale
    y = top + np.searchsorted(shown, events.neuron[chosen]) * row
    negative = events.value[chosen] < 0
    return Band(
        label=item.node,
        neurons=item.neurons,
        shown=len(shown),
        top=round(top, 1),
        x=round(_LEFT + events.start * scale, 1),
        width=round(events.period * scale, 1),
        height=round(row * len(shown), 1),
        spikes=_lines(x[~negative], y[~negative], row),
        negative=_lines(x[negative], y[negative], row),
    )


def _lines(x: np.ndarray, y: np.ndarray, height: float) -> str:
    return "".join(f"M{a:.1f} {b:.1f}v{height:.1f}" for a, b in zip(x, y, strict=True))


def _traces(
    evaluation: Evaluation, recording: Recording, neurons: Mapping[str, Sequence[int]]
) -> list[Trace]:
    found = []
    for name, places in neurons.items():
        item = next(
            (item for item in evaluation.populations if name in (item.name, item.node)), None
        )
        if item is None or item.name not in recording.potentials:
            raise DataError(f"There is no potential of a population {name!r} in the recording.")
        potentials = recording.potentials[item.name][0].reshape(-1, item.neurons)
        for place in places:
            if not 0 <= place < item.neurons:
                raise DataError(
                    f"{name} has no neuron {place}: it has {item.neurons:,}, from 0 on."
                )
            found.append(_trace(item, place, potentials[:, place], recording))
    return found


def _trace(item: PopulationActivity, place: int, values: np.ndarray, recording: Recording) -> Trace:
    events = recording.spikes.get(item.name)
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    high = high if high > low else low + 1.0
    across = (Trace.right - Trace.left) / max(len(values) - 1, 1)

    def up(value: float) -> float:
        return Trace.bottom - (value - low) / (high - low) * (Trace.bottom - Trace.top)

    start = 0 if events is None else events.start
    steps: list[int] = []
    if events is not None:
        steps = events.step[(events.sample == recording.first) & (events.neuron == place)].tolist()
    return Trace(
        node=item.node,
        neuron=place,
        zero=round(up(0.0), 1),
        low=f"{low:.3g}",
        high=f"{high:.3g}",
        first=start,
        last=start + len(values) - 1,
        line=" ".join(
            f"{Trace.left + step * across:.1f},{up(float(value)):.1f}"
            for step, value in enumerate(values)
        ),
        spikes="".join(f"M{Trace.left + step * across:.1f} 2v8" for step in steps),
    )
