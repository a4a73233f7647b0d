"""Streamed statistics against numpy on all values at once."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Example
from helpers.models import mlp

from onnx2genn import CalibrationError
from onnx2genn.calibrate.statistics import Statistics, collect
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.run import session

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
    return statistics


def positive(values: np.ndarray, channel: int) -> np.ndarray:
    found = values[:, channel].ravel()
    return found[found > 0]


@pytest.mark.parametrize("parts", [1, 13])
def test_extremes_and_means_are_exact(parts: int) -> None:
    values = growing()
    found = gathered(values, parts, 3)
    assert np.array_equal(found.maximum, values.max(axis=(0, 2, 3)))
    assert np.array_equal(found.minimum, values.min(axis=(0, 2, 3)))
    assert np.allclose(found.mean, np.maximum(values, 0).mean(axis=(0, 2, 3)), rtol=1e-5)
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


def test_batches_do_not_matter_and_memory_does_not_grow(digits: Example) -> None:
    model = read(digits.model)
    few, many = (collect(model, digits.x_train[:count]) for count in (60, 600))
    for name, statistics in many.items():
        assert statistics.histogram.nbytes == few[name].histogram.nbytes
        assert statistics.count == 10 * few[name].count
    target = model.parts.populations[0].segment.target
    (values,) = session(model.to_onnx([target])).run(
        [target], {next(iter(model.parts.inputs)): digits.x_train[:600]}
    )
    assert np.allclose(many[target].maximum, values.max(axis=(0, 2, 3)), rtol=1e-5)


def test_progress_reaches_the_end(digits: Example) -> None:
    calls: list[tuple[int, int]] = []
    collect(read(digits.model), digits.x_train[:120], progress=lambda *call: calls.append(call))
    assert calls[-1] == (120, 120)
    assert len(calls) > 1


def test_no_samples_and_infinite_answers_are_refused() -> None:
    model = read(mlp())
    with pytest.raises(CalibrationError, match="no calibration samples"):
        collect(model, np.zeros((0, 6), np.float32))
    with pytest.raises(CalibrationError, match="infinite"):
        collect(model, np.full((2, 6), 3e38, np.float32))
