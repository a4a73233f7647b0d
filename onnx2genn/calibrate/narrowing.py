"""Fewer digits for populations whose last digits cost more than they are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush

import numpy as np

from onnx2genn.backends.registry import EMBEDDED, open_simulator
from onnx2genn.calibrate.digits import together
from onnx2genn.calibrate.encode import Encoder
from onnx2genn.calibrate.held_out import HeldOut
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.evaluate.operations import caused, projections
from onnx2genn.ir.partition import Population
from onnx2genn.network import Network, Saving

_MOST = 2e9  # neurons times samples of all forecasts that find what digits are worth
_COUNTED = 2**26  # neurons times samples that spikes are counted of
_CHOICES = 12  # different digits that are tried; of a longer window, in equal ratios
_TINY = 1e-12

Group = tuple[str, ...]
"""Names of populations that have the same digits."""


def with_fewer_digits(
    trial: HeldOut,
    encoder: Encoder,
    network: Network,
    limit: float,
    is_close: Callable[[Network], bool],
) -> Network:
    """Give populations fewer digits as long as the answers stay close enough.

    One digit less of a population alone says what its digits are worth: by the change of the
    answers to samples that were held out, for what it saves. That of further digits grows as the
    square of the level, and those of several populations add up, as independent errors do. So
    digits go in the order of what they save for their error, as many as the limit allows.

    Args:
        trial: Samples that were held out.
        encoder: Chose the network's thresholds.
        network: Network of a coding that accumulates first, close enough with T digits everywhere.
        limit: Error that the answers to these samples may have.
        is_close: Whether the answers of a network are still close enough.

    Returns:
        The network, with what was saved; as it is where nothing could be.
    """
    spikes = _spikes(network, trial.samples)
    narrow = _Narrow(encoder, network)
    steps = _order(_prospects(narrow, trial.samples, _costs(network, spikes)))

    def after(count: int) -> Network:
        # Of a group, the last step has the fewest digits.
        return narrow.with_digits(dict(steps[:count]))

    kept = _most(len(steps), lambda count: trial.error(after(count)) <= limit)
    while kept and not is_close(after(kept)):
        kept -= max(1, kept // 4)
    if not kept:
        return network
    found = after(kept)
    finished = encoder.finished(replace(found, corrections={}))
    if trial.error(finished) < trial.error(found) and is_close(finished):
        found = finished
    return replace(found, saving=_saving(network, found, trial.samples, spikes))


def _most(count: int, fits: Callable[[int], bool]) -> int:
    """Return the largest number up to a count that fits, where smaller ones fit, too."""
    kept, failed = 0, count + 1
    while failed - kept > 1:
        middle = (kept + failed) // 2
        kept, failed = (middle, failed) if fits(middle) else (kept, middle)
    return kept


class _Narrow:
    """Networks that differ in the digits of their populations.

    Attributes:
        network: That with T digits everywhere.
        groups: Populations that have the same digits.
        choices: What digits populations may have, from T down to 1.
        by_digits: Networks with so many everywhere.
        encoder: Chose their thresholds.
    """

    def __init__(self, encoder: Encoder, network: Network) -> None:
        self.network, self.encoder = network, encoder
        self.groups = together(network.populations)
        steps = network.coding.steps
        spaced = range(1, steps + 1) if steps <= _CHOICES else np.geomspace(1, steps, _CHOICES)
        self.choices = sorted({round(item) for item in spaced}, reverse=True)
        self.by_digits = {item: encoder.narrowed(network, item) for item in self.choices[1:]}
        self.by_digits[steps] = network

    def with_digits(self, digits: Mapping[Group, int]) -> Network:
        """Return the network with fewer digits for some groups."""
        given = {name: count for group, count in digits.items() for name in group}
        sources = {name: self.by_digits[count] for name, count in given.items()}
        thresholds, offsets = (
            {name: getattr(sources.get(name, self.network), kind)[name] for name in array}
            for kind, array in (
                ("thresholds", self.network.thresholds),
                ("offsets", self.network.offsets),
            )
        )
        return replace(self.network, thresholds=thresholds, offsets=offsets, digits=given)

    def sent(self, group: Group) -> np.ndarray:
        """Return how often a group sends with each choice, relative to T, by the histograms."""
        neurons = [i for i in self.network.populations if i.name in group and not i.pools]
        counts = [
            sum(_expected(self.by_digits[count], item, self.encoder) for item in neurons)
            for count in self.choices
        ]
        return np.array(counts) / max(counts[0], _TINY)


@dataclass(frozen=True, kw_only=True)
class _Prospect:
    """What fewer digits of a group of populations would save and cost.

    Attributes:
        group: The populations.
        choices: Digits, from T down to 1.
        errors: Squared error of the answers with each of them.
        costs: Operations and spikes for each sample with each of them.
    """

    group: Group
    choices: Sequence[int]
    errors: Sequence[float]
    costs: Sequence[float]

    def worth(self, taken: int) -> float:
        """Return what the next choice after the one that is taken saves for its error."""
        saved = self.costs[taken] - self.costs[taken + 1]
        return saved / max(self.errors[taken + 1] - self.errors[taken], _TINY)


def _prospects(narrow: _Narrow, samples: np.ndarray, costs: Mapping[str, float]) -> list[_Prospect]:
    network, choices = narrow.network, narrow.choices
    if len(choices) == 1:
        return []
    few = samples[: max(1, int(_MOST // max(network.neurons * len(narrow.groups), 1)))]
    exact = Forecast(network).logits(few)
    levels = [network.coding.with_digits(count).quantiser.parts for count in choices]
    squares = np.array(levels, float) ** -2.0
    growth = (squares - squares[0]) / (squares[1] - squares[0])
    found = []
    for group in narrow.groups:
        narrowed = narrow.with_digits({group: choices[1]})
        error = float(np.square(Forecast(narrowed).logits(few) - exact).mean())
        sent = sum(costs[name] for name in group) * narrow.sent(group)
        found.append(
            _Prospect(group=group, choices=choices, errors=list(error * growth), costs=list(sent))
        )
    return found


def _order(prospects: Sequence[_Prospect]) -> list[tuple[Group, int]]:
    """Sort the steps to fewer digits: groups with how many these then have."""
    order = []
    heap = [(-item.worth(0), index, 0) for index, item in enumerate(prospects)]
    heapify(heap)
    while heap:
        worth, index, taken = heappop(heap)
        if worth >= 0:  # nothing is saved
            continue
        item, taken = prospects[index], taken + 1
        order.append((item.group, item.choices[taken]))
        if taken + 1 < len(item.choices):
            heappush(heap, (-item.worth(taken), index, taken))
    return order


def _expected(network: Network, item: Population, encoder: Encoder) -> float:
    """Return how many spikes a population sends for a sample, by its histograms."""
    statistics = encoder.statistics(item)
    coding, channels = network.coding, statistics.channels
    low, threshold = (
        np.broadcast_to(values[item.name].ravel(), channels)[:, None]
        for values in (network.offsets, network.thresholds)
    )
    quantiser = network.coding_of(item).quantiser
    above = statistics.centres + statistics.offset[:, None] - low
    spikes = coding.spike_count(quantiser.code(above / quantiser.step_value(threshold)))
    share = (statistics.histogram * spikes).sum() / max(statistics.count * channels, 1)
    return float(share) * int(np.prod(item.shape))


def _spikes(network: Network, samples: np.ndarray) -> dict[str, np.ndarray]:
    """Count what neurons send for one sample, in the mean, by tensor, [*shape]."""
    few = samples[: max(1, _COUNTED // max(network.neurons, 1))]
    with open_simulator(network, EMBEDDED) as simulator:
        activity = simulator.run(few, record=True)
    assert activity.spikes is not None
    return {
        item.tensor: activity.spikes[item.name].mean(axis=0, dtype=np.float32)
        for item in network.populations
    }


def _costs(network: Network, spikes: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return what each population costs for a sample: its spikes, and what they cause."""
    operations = caused(network, network.streams, spikes)
    return {
        item.name: operations[item.name] + float(spikes[item.tensor].sum())
        for item in network.populations
    }


def _saving(
    network: Network, found: Network, samples: np.ndarray, spikes: Mapping[str, np.ndarray]
) -> Saving:
    """Compare a network with T digits everywhere with one of fewer, on the same samples."""
    pair = (spikes, _spikes(found, samples))
    sums = [sum(float(item.sum()) for item in sent.values()) for sent in pair]
    operations = [
        sum(item.sops for item in projections(network, network.streams, sent)) for sent in pair
    ]
    return Saving(spikes=(sums[0], sums[1]), operations=(operations[0], operations[1]))
