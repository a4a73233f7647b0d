"""The rules that choose thresholds, on activations whose best threshold is known or searched."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2genn.calibrate import thresholds
from onnx2genn.calibrate.statistics import Statistics
from onnx2genn.calibrate.thresholds import balance
from onnx2genn.coding import Coding, make
from onnx2genn.errors import CalibrationError


def gathered(values: np.ndarray) -> Statistics:
    statistics = Statistics(channels=values.shape[1])
    for batch in np.array_split(values, 7):
        statistics.update(batch)
    return statistics.settle()


def choose(coding: Coding, statistics: Statistics) -> np.ndarray:
    return thresholds.choose(coding, statistics, "relu3")


def squared_error(coding: Coding, values: np.ndarray, threshold: float) -> float:
    """What is above the highest level counts twice."""
    activations = np.maximum(values, 0)
    errors = (activations - coding.quantiser.quantise(activations, np.array(threshold))) ** 2
    highest = coding.quantiser.quantise(np.array(1e9), np.array(threshold))
    return float(np.where(activations > highest, 2 * errors, errors).mean())


@pytest.mark.parametrize(
    ("coding", "steps"), [("few-spike", 3), ("few-spike", 6), ("two-phase", 16), ("rate", 8)]
)
def test_mse_finds_the_least_squared_error(coding: str, steps: int) -> None:
    chosen = make(coding, steps=steps)
    values = np.random.default_rng(0).normal(-0.5, 1.0, (100_000, 1))
    found = float(choose(chosen, gathered(values))[0])
    grid = np.linspace(0.1, 6, 600)
    best = min(squared_error(chosen, values, theta) for theta in grid)
    assert squared_error(chosen, values, found) < 1.03 * best
    assert squared_error(chosen, values, float(values.max())) > 1.1 * best or steps == 6


def test_mse_clips_less_the_more_levels_there_are() -> None:
    statistics = gathered(np.random.default_rng(0).exponential(1.0, (20_000, 1)))
    found = [float(choose(make("few-spike", steps=k), statistics)[0]) for k in (2, 4, 6, 8)]
    assert found == sorted(found)
    assert found[-1] > statistics.maximum[0]


def test_mse_ignores_an_outlier_that_costs_more_than_it_brings() -> None:
    values = np.abs(np.random.default_rng(0).normal(0, 1, (50_000, 1)))
    values[0] = 60.0
    found = float(choose(make("few-spike", steps=3), gathered(values))[0])
    assert 1.5 < found < 12


def test_each_channel_has_its_own_threshold() -> None:
    values = np.random.default_rng(0).normal(0, 1, (5_000, 3)) * [1.0, 10.0, 0.0]
    found = choose(make("few-spike"), gathered(values))
    assert found[1] == pytest.approx(10 * found[0], rel=0.3)
    assert found[2] == found[1]  # a silent channel stays nearly silent


@pytest.mark.parametrize("rule", ["max", "percentile", "mse", "balance"])
def test_thresholds_scale_with_the_activations(rule: str) -> None:
    values = np.random.default_rng(0).normal(0, 1, (5_000, 2))
    coding = make("rate", steps=16, threshold=rule, percentile=99.0)
    one, four = (choose(coding, gathered(values * factor)) for factor in (1.0, 4.0))
    assert np.allclose(four, 4 * one, rtol=1e-3)


def test_a_percentile_leaves_the_largest_values_above() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (100_000, 1))
    found = float(
        choose(make("rate", threshold="percentile", percentile=90.0), gathered(values))[0]
    )
    assert found == pytest.approx(0.9, abs=0.01)  # of the positive values


def test_balance_follows_its_equation() -> None:
    values = np.random.default_rng(0).normal(0, 1, (4_000, 1))
    threshold = 0.0
    for _ in range(1000):
        threshold += 2 * np.mean(np.maximum(values - threshold, 0))
    assert float(balance(gathered(values))[0]) == pytest.approx(threshold, rel=5e-3)
    assert threshold < values.max()


def test_without_normalisation_all_thresholds_are_one() -> None:
    values = np.random.default_rng(0).normal(0, 5, (1000, 3)) * [1, 0, 2]
    assert choose(make("rate", threshold="none"), gathered(values)).tolist() == [1, 1, 1]


RULES = pytest.mark.parametrize("rule", ["max", "percentile", "mse", "balance", "none"])


@RULES
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_undefined_activations_are_refused_by_name(rule: str, bad: float) -> None:
    statistics = gathered(np.random.default_rng(0).normal(0, 1, (1000, 3)))
    statistics.maximum[1] = bad
    with pytest.raises(CalibrationError, match="'relu3'"):
        choose(make("few-spike", threshold=rule), statistics)


@RULES
def test_a_channel_of_denormal_activations_is_silent(rule: str) -> None:
    values = np.abs(np.random.default_rng(0).normal(0, 1, (1000, 3))) * [1, 1e-40, 1e-33]
    coding = make("few-spike", steps=16, threshold=rule)
    found = choose(coding, gathered(values.astype(np.float32)))
    assert found[1] == found[2] == found[0]
    unit = coding.unit(found)
    assert np.isfinite(found).all() and (np.float32(2.0**27) / unit < np.inf).all()


@pytest.mark.parametrize("coding", ["few-spike", "two-phase", "rate"])
@pytest.mark.parametrize("size", [1e-40, 1e-33])
def test_denormal_activations_alone_are_refused_by_name(coding: str, size: float) -> None:
    values = (np.abs(np.random.default_rng(0).normal(0, 1, (1000, 3))) * size).astype(np.float32)
    with pytest.raises(
        CalibrationError, match=r"'relu3' are at most about \de-\d\d|'relu3'.*levels"
    ):
        choose(make(coding), gathered(values))


def test_thresholds_beyond_float32_are_refused() -> None:
    with pytest.raises(CalibrationError, match=r"'relu3'.*float32 cannot hold"):
        choose(make("few-spike"), gathered(np.linspace(0, 1e39, 1000)[:, None]))
