"""Thresholds of populations are moved where the answer gains by that."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from conftest import Example
from helpers.onnx_models import model, node, normal

from onnx2genn.calibrate import refine as refining
from onnx2genn.calibrate.encode import encode
from onnx2genn.calibrate.held_out import HeldOut
from onnx2genn.calibrate.observe import Observation, observe
from onnx2genn.calibrate.refine import refine
from onnx2genn.coding import make
from onnx2genn.frontend.pipeline import read


@pytest.fixture(scope="module")
def seen(digits: Example) -> Observation:
    return observe(read(digits.model), digits.x_train[:400])


def test_thresholds_that_are_off_come_back(seen: Observation) -> None:
    network = encode(seen, make("few-spike", steps=3))
    first = network.populations[0].name
    off = replace(
        network, thresholds={**network.thresholds, first: network.thresholds[first] * 2.5}
    )
    mended, trial = refine(HeldOut(seen), off), HeldOut(seen)
    assert trial.error(mended) < 0.97 * trial.error(off)
    assert (mended.thresholds[first] < off.thresholds[first]).all()


@pytest.mark.parametrize("coding", [make("few-spike", steps=3), make("two-phase", steps=6)])
def test_no_answer_gets_worse(seen: Observation, coding) -> None:
    network = encode(seen, replace(coding, bias_correction=False))
    trial = HeldOut(seen)
    assert trial.error(refine(HeldOut(seen), network)) <= trial.error(network)


def test_what_is_fine_stays(seen: Observation) -> None:
    network = encode(seen, make("few-spike", steps=10))
    assert refine(HeldOut(seen), network) is network
    stepwise = encode(seen, make("rate", steps=4))
    assert refine(HeldOut(seen), stepwise) is stepwise
    few = replace(seen, held=seen.held[:0])
    assert refine(HeldOut(few), network) is network


def test_large_networks_end_early(seen: Observation, monkeypatch: pytest.MonkeyPatch) -> None:
    network = encode(seen, make("few-spike", steps=2))
    off = replace(network, thresholds={k: 1.5 * v for k, v in network.thresholds.items()})
    monkeypatch.setattr(refining, "_MOST", 2 * network.neurons * len(seen.held))
    mended = refine(HeldOut(seen), off)
    changed = [
        item.name
        for item in network.populations
        if np.any(mended.thresholds[item.name] != off.thresholds[item.name])
    ]
    assert changed in ([], [network.populations[0].name])


def test_fewer_digits_reach_as_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """The highest of two levels is half the threshold, which may then be twice the bound."""
    nodes = [
        node("MatMul", "x w", "z"),
        node("Clip", "z low high", "a"),
        node("MatMul", "a v", "y"),
    ]
    bounds = {"low": np.asarray(np.float32(0)), "high": np.asarray(np.float32(6))}
    weights = {"w": normal(4, 5), "v": normal(5, 3, seed=1), **bounds}
    seen = observe(read(model(nodes, {"x": ["N", 4]}, weights)), normal(100, 4, seed=2))
    (name,) = seen.populations
    network = encode(seen, make("few-spike", steps=6), {name: 1})
    network = replace(network, thresholds={name: np.full((5,), 12, np.float32)})
    errors = itertools.count(10**6, -(10**4))
    monkeypatch.setattr(HeldOut, "squares", lambda *_: np.full(12, float(next(errors))))
    mended = refine(HeldOut(seen), network)
    np.testing.assert_allclose(mended.thresholds[name], 0.85 * 12, rtol=1e-6)


def test_what_may_be_chance_is_not_kept(seen: Observation, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sample gains much, the others lose or gain nothing: the sum alone tells little."""
    network = encode(seen, make("few-spike", steps=3))
    before = np.full(10, 100.0)
    after = np.where(np.arange(10) == 0, 50.0, 101.0)
    answers = itertools.chain([before], itertools.repeat(after))
    monkeypatch.setattr(HeldOut, "squares", lambda *_: next(answers))
    assert refine(HeldOut(seen), network) is network
