"""Streamed statistics against numpy on all values at once."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from onnx2genn.calibrate.statistics import Statistics

BIN = 2 / 2048  # a bin is at most this share of the largest value


def growing(channels: int = 3, count: int = 4000) -> np.ndarray:
    """Values of both signs whose range widens as they come, differently in each channel."""
    random = np.random.default_rng(0)
    values = (
        random.normal(0, 1, (count, channels, 2, 2)) * np.arange(1, channels + 1)[:, None, None]
    )
    return (values * np.linspace(0.1, 5, count)[:, None, None, None]).astype(np.float32)


def gathered(values: np.ndarray, parts: int, channels: int) -> Statistics:
    statistics = Statistics(channels=channels)
    for batch in np.array_split(values, parts):
        statistics.update(batch)
    return statistics.settle()


def positive(values: np.ndarray, channel: int) -> np.ndarray:
    found = values[:, channel].ravel()
    return found[found > 0]


@pytest.mark.parametrize("parts", [1, 13])
def test_the_largest_values_are_exact(parts: int) -> None:
    values = growing()
    found = gathered(values, parts, 3)
    assert np.array_equal(found.maximum, values.max(axis=(0, 2, 3)))
    assert found.count == values[:, 0].size


@pytest.mark.parametrize("parts", [1, 13])
@pytest.mark.parametrize("q", [50.0, 99.0, 99.9, 100.0])
def test_percentiles_are_right_to_the_width_of_a_bin(parts: int, q: float) -> None:
    values = growing()
    found = gathered(values, parts, 3)
    for channel in range(3):
        kept = positive(values, channel)
        wanted = np.percentile(kept, q, method="inverted_cdf")
        assert found.percentile(q)[channel] == pytest.approx(wanted, abs=BIN * float(kept.max()))
        assert found.histogram[channel].sum() == kept.size


def test_the_mean_excess_is_that_of_the_tail() -> None:
    values = np.random.default_rng(0).exponential(2.0, (200_000, 1)).astype(np.float32)
    found = gathered(values, 5, 1)
    # The excess of an exponential distribution over any value has its mean.
    assert found.mean_excess(90.0)[0] == pytest.approx(2.0, rel=0.05)


def test_one_channel_takes_the_whole_tensor() -> None:
    values = growing()
    found = gathered(values, 4, 1)
    assert found.maximum[0] == values.max()
    assert found.count == values.size


def test_values_that_are_never_positive_leave_nothing() -> None:
    found = gathered(-np.abs(growing()), 3, 3)
    assert not found.positive_maximum.any()
    assert not found.percentile(99.0).any()
    assert not found.mean_excess(99.0).any()


def test_signed_values_count_from_the_smallest_on() -> None:
    values = growing()
    found = Statistics(channels=3, signed=True)
    for batch in np.array_split(values, 5):
        found.lower(batch)
    for batch in np.array_split(values, 5):
        found.update(batch)
    found = found.settle()
    lowest = values.min(axis=(0, 2, 3))
    assert np.array_equal(found.offset, lowest)
    shifted = gathered(values - lowest[:, None, None], 5, 3)
    assert np.array_equal(found.histogram, shifted.histogram)
    assert np.array_equal(found.maximum, shifted.maximum)


def test_values_at_the_edges_of_bins_are_counted_upwards() -> None:
    found = Statistics(channels=2, bins=4)
    found.update(np.array([[0.0, -1], [0.25, 0], [0.5, 2], [1.0, 4]], np.float32))
    assert found.top.tolist() == [2, 8]
    assert found.histogram.tolist() == [[1, 1, 1, 0], [0, 1, 1, 0]]


@pytest.mark.parametrize("scale", [2.0**-149, 2.0**-130, 2.0**-60, 1.0, 2.0**100])
@pytest.mark.parametrize("shape", [(7, 3, 1), (5, 3, 70_001), (2, 300, 600)])
def test_counts_are_those_of_numpy_whatever_the_size_of_values(
    shape: tuple[int, int, int], scale: float
) -> None:
    random = np.random.default_rng(1)
    values = (random.integers(-200, 100, shape) * scale).astype(np.float32)
    found = Statistics(channels=shape[1])
    found.update(values)
    for channel in (0, 1, shape[1] - 1):
        counted = values[:, channel].astype(np.float64)
        wanted, _ = np.histogram(
            counted[counted > 0], bins=found.bins, range=(0, found.top[channel])
        )
        assert np.array_equal(found.histogram[channel], wanted)


@pytest.mark.parametrize("signed", [False, True])
def test_channels_become_one_to_the_width_of_a_bin(signed: bool) -> None:
    values = growing()
    each, whole = (Statistics(channels=count, signed=signed) for count in (3, 1))
    for statistics in (each, whole):
        if signed:
            statistics.lower(values)
        for batch in np.array_split(values, 5):
            statistics.update(batch)
    each, whole = each.settle(), whole.settle()
    found = each.merged()
    assert found.merged() is found
    assert found.count == whole.count
    assert np.array_equal(found.offset, whole.offset)
    assert found.maximum == pytest.approx(whole.maximum, rel=1e-6)
    assert found.histogram.sum() == whole.histogram.sum()
    for q in (10.0, 50.0, 99.0, 99.9):
        wanted = whole.percentile(q)
        assert found.percentile(q) == pytest.approx(wanted, abs=2 * BIN * float(whole.maximum[0]))


def test_silent_channels_become_one() -> None:
    found = gathered(-np.abs(growing()), 2, 3).merged()
    assert not found.positive_maximum.any()
    assert not found.histogram.any()


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("signed", [False, True])
def test_any_order_and_any_parts_give_the_same(scale: float, signed: bool) -> None:
    values = growing() * np.float32(scale)

    def empty() -> Statistics:
        found = Statistics(channels=3, signed=signed)
        if signed:
            found.lower(values)
        return found

    whole, backwards, merged = empty(), empty(), empty()
    whole.update(values)
    for batch in np.array_split(values, 7)[::-1]:
        backwards.update(batch)
        part = empty()
        part.update(batch)
        merged.merge(pickle.loads(pickle.dumps(part)))
    for found in (backwards, merged):
        assert found.count == whole.count
        for name in ("offset", "maximum", "top", "histogram"):
            assert np.array_equal(getattr(found, name), getattr(whole, name)), name
    settled = whole.settle()
    assert np.array_equal(settled.top, np.maximum(whole.maximum, 0))
    assert np.array_equal(settled.histogram.sum(axis=1), whole.histogram.sum(axis=1))
    assert whole.top.min() > 0  # what was settled is another one


def test_parts_that_differ_in_size_by_far_are_merged() -> None:
    small, large = (Statistics(channels=1) for _ in range(2))
    small.update(np.full((10, 1), 1e-20, np.float32))
    large.update(np.full((3, 1), 1e20, np.float32))
    small.merge(large)
    assert small.histogram[0, 0] == 10
    assert small.histogram.sum() == 13
