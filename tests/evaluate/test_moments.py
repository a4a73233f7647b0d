"""Streamed correlation and variance against numpy on all values at once."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2genn.evaluate.moments import Moments


def streamed(a: np.ndarray, b: np.ndarray, parts: int = 7) -> Moments:
    found = Moments()
    for one, other in zip(np.array_split(a, parts), np.array_split(b, parts), strict=True):
        found.add(one, other)
    return found


def noise(seed: int, count: int = 5000) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=count)


@pytest.mark.parametrize("parts", [1, 7, 5000])
@pytest.mark.parametrize("shift", [0.0, -3.0, 1e8])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_they_are_those_of_all_values(parts: int, shift: float, scale: float) -> None:
    a, b = scale * (noise(0) + shift), 3 * scale * (noise(0) + noise(1) - shift)
    found = streamed(a, b, parts)
    assert found.correlation() == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-6)
    assert found.variances() == pytest.approx((a.var(), b.var()), rel=1e-6)
    assert found.count == 5000


@pytest.mark.parametrize("value", [0.0, 0.1, -1e8 / 3, 3e38, 1e-40])
@pytest.mark.parametrize("parts", [1, 7])
def test_a_constant_has_no_correlation(value: float, parts: int) -> None:
    constant = np.full(5000, value, np.float32)
    for pair in ((constant, noise(0)), (noise(0), constant), (constant, constant)):
        assert streamed(*pair, parts).correlation() is None
    assert streamed(constant, constant, parts).variances() == (0.0, 0.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_hardly_varies_keeps_its_correlation(dtype: type) -> None:
    base = (1e8 + 100 * noise(0)).astype(dtype)
    assert streamed(base, base).correlation() == pytest.approx(1.0, abs=1e-12)
    assert streamed(base, -base).correlation() == pytest.approx(-1.0, abs=1e-12)
    other = noise(1).astype(dtype)
    wanted = np.corrcoef(base.astype(np.float64), other)[0, 1]
    assert streamed(base, other).correlation() == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("shift", [0.0, 3.0, 1e4])
@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_single_precision_gives_six_digits(shift: float, scale: float) -> None:
    a = (scale * (noise(0) + shift)).astype(np.float32)
    b = (scale * (noise(0) + noise(1) - shift)).astype(np.float32)
    found = Moments()
    for one, other in zip(np.array_split(a, 7), np.array_split(b, 7), strict=True):
        found.add_single(one, other)
    whole = streamed(a, b)
    assert found.correlation() == pytest.approx(whole.correlation(), abs=1e-6)
    assert found.variances() == pytest.approx(whole.variances(), rel=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e8 / 3, 3e38, 1e-40])
def test_a_constant_has_no_correlation_in_single_precision(value: float) -> None:
    constant, other = np.full(5000, value, np.float32), noise(0).astype(np.float32)
    for pair in ((constant, other), (other, constant), (constant, constant)):
        found = Moments()
        for _ in range(3):
            found.add_single(*pair)
        assert found.correlation() is None


def test_it_is_never_beyond_one() -> None:
    for seed in range(200):
        a = noise(seed, 3).astype(np.float32)
        found = streamed(a, 2 * a, 1).correlation()
        assert found is not None
        assert -1.0 <= found <= 1.0


def test_means_that_drift_count() -> None:
    a = np.arange(5000.0)
    assert streamed(a, a**2).correlation() == pytest.approx(np.corrcoef(a, a**2)[0, 1], abs=1e-12)


def test_parts_may_be_empty() -> None:
    found = streamed(noise(0, 3), noise(1, 3), 7)
    assert found.count == 3
    assert Moments().correlation() is None
