"""Sums of two parts are those of both together, also by way of a state."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2genn.evaluate.metrics import METRICS
from onnx2genn.evaluate.moments import Moments
from onnx2genn.evaluate.sums import Sums
from onnx2genn.evaluate.task import CLASSES, VALUES, Task


class Both(Sums):
    """A sum of each kind."""

    def __init__(self) -> None:
        self.count, self.holds, self.array = 0, True, np.zeros(2)
        self.inner, self.steps = {"a": Moments()}, [Moments()]
        self.name = "the same in all parts"


def test_numbers_add_and_truths_hold_while_both_do() -> None:
    a, b = Both(), Both()
    a.count, b.count, b.holds, b.array = 2, 3, False, np.array([1.0, 2.0])
    b.inner["a"].add(np.arange(4.0), np.arange(4.0))
    a.merge(b)
    assert (a.count, a.holds, a.name) == (5, False, "the same in all parts")
    assert a.array.tolist() == [1, 2]
    assert a.inner["a"].count == 4


def test_a_state_makes_the_same_sums() -> None:
    a, b = Both(), Both()
    a.count, a.holds, a.array = 7, False, np.array([0.1, 0.2])
    a.steps[0].add(np.arange(5.0), np.arange(5.0) ** 2)
    state = a.state()
    b.restore(state)
    assert (b.count, b.holds) == (7, False)
    assert b.steps[0].correlation() == a.steps[0].correlation()
    assert b.state().keys() == state.keys()
    with pytest.raises(KeyError):
        b.restore({name: value for name, value in state.items() if name != "count"})
    with pytest.raises(ValueError, match="array has shape"):
        b.restore({**state, "array": np.zeros(3)})


@pytest.mark.parametrize("cuts", [(0, 30), (30, 30), (30, 100)])
def test_moments_of_parts(cuts: tuple[int, int]) -> None:
    """One of the parts may be empty."""
    random = np.random.default_rng(0)
    series = random.normal(1e3, 1, (2, 100))
    total = Moments()
    for cut in (slice(0, cuts[0]), slice(*cuts), slice(cuts[1], 100)):
        part = Moments()
        part.add(series[0, cut], series[1, cut])
        total.merge(part)
    assert total.count == 100
    np.testing.assert_allclose(total.variances(), series.var(axis=1))
    np.testing.assert_allclose(total.correlation(), np.corrcoef(series)[0, 1])


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_of_parts(name: str) -> None:
    kind = CLASSES if CLASSES in METRICS[name].kinds else VALUES
    task = Task(kind=kind, shape=(12,))
    random = np.random.default_rng(0)
    values = random.normal(size=(50, 12)).astype(np.float32)
    noisy = values + random.normal(size=values.shape).astype(np.float32)
    wanted = task.targets(noisy)
    whole, parts = METRICS[name](task), [METRICS[name](task) for _ in range(2)]
    whole.add(values, wanted)
    for part, cut in zip(parts, (slice(0, 20), slice(20, 50)), strict=True):
        part.add(values[cut], wanted[cut])
    parts[0].merge(parts[1])
    assert 0 < whole.value() != parts[1].value()
    np.testing.assert_allclose(parts[0].value(), whole.value())
