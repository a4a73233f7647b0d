"""What is decided on samples that were held out: evidence of channels, and bias correction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import Example
from helpers.onnx_models import model, node, normal

from onnx2genn.calibrate import encode as encoding
from onnx2genn.calibrate.encode import encode
from onnx2genn.calibrate.held_out import EVIDENCE, HeldOut, keep_if_better, weigh
from onnx2genn.calibrate.observe import observe
from onnx2genn.calibrate.thresholds import widened
from onnx2genn.coding import make
from onnx2genn.frontend.pipeline import read
from onnx2genn.network import Network


def rarely_used(bounded: bool = True):
    """A hidden layer in which a few units answer to a few samples alone, and strongly."""
    weight = normal(6, 24)
    bias = np.where(np.arange(24) < 8, np.float32(-5), np.float32(0))
    last = [node("Clip", "z low high", "a")] if bounded else [node("Relu", "z", "a")]
    nodes = [node("Gemm", "x w b", "z"), *last, node("MatMul", "a v", "y")]
    weights = {"w": 2 * weight, "b": bias, "v": normal(24, 4, seed=1)}
    if bounded:
        weights |= {"low": np.asarray(np.float32(0)), "high": np.asarray(np.float32(6))}
    return read(model(nodes, {"x": ["N", 6]}, weights))


@pytest.mark.parametrize("bounded", [True, False])
def test_widened(bounded: bool) -> None:
    found = rarely_used(bounded)
    (population,) = found.parts.populations
    coding = make("few-spike", steps=8)
    own, seen = np.array([1.0, 2.0, 4.0], np.float32), np.array([0, 100, 10**9])
    wide = 6 * 256 / 255 if bounded else 4.0
    np.testing.assert_allclose(widened(coding, population, own, seen, 0), own)
    got = widened(coding, population, own, seen, 100)
    np.testing.assert_allclose(got, [wide, np.sqrt(2 * wide), 4.0], rtol=1e-5)
    assert (np.diff(widened(coding, population, np.full(3, 1.0), seen, 50)) <= 0).all()


@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize("steps", [4, 8, 12])
@pytest.mark.parametrize("better", [False, True])
def test_thresholds_are_no_worse_than_others(bounded: bool, steps: int, better: bool) -> None:
    seen = observe(rarely_used(bounded), normal(200, 6, seed=2))
    assert len(seen.held) == 25
    coding = make("few-spike", steps=steps)
    network = encode(seen, coding)
    trial, tried = HeldOut(seen), []

    def build(evidence: int, with_lows: bool = True) -> Network:
        """Thresholds that are wider the more evidence is asked for, and better without lows."""
        tried.append((evidence, with_lows))
        factor = (1 + evidence) if with_lows or not better else 1
        wider = {name: array * factor for name, array in network.thresholds.items()}
        return replace(network, thresholds=wider)

    best = build(*weigh(trial, build)[0])
    errors = {item: trial.error(build(*item)) for item in dict.fromkeys(tried)}
    assert [item for item, with_lows in errors if with_lows] == list(EVIDENCE)
    squares = {item: trial.squares(build(item)) for item in EVIDENCE}
    evidence = min(EVIDENCE, key=lambda item: errors[item, True])
    if bounded:
        more = {item: found - squares[evidence] for item, found in squares.items()}
        chance = {item: 2 * np.sqrt(len(found)) * found.std(ddof=1) for item, found in more.items()}
        evidence = max(item for item, found in more.items() if found.sum() <= chance[item])
    chosen = [errors[evidence, plain] for plain in (True, False)]
    assert trial.error(best) == min(chosen)


def test_unseen_samples_are_cut_off_less() -> None:
    """Twelve steps are fine enough: what is left is what calibration did not show."""
    found, x = rarely_used(), normal(3000, 6, seed=3)
    coding = make("few-spike", steps=12)
    seen = observe(found, x[:120])
    network = encode(seen, coding)
    own = encode(replace(seen, held=seen.held[:0]), replace(coding, threshold="max"))
    test = replace(seen, held=x[1000:])
    assert HeldOut(test).error(network) < 0.9 * HeldOut(test).error(own)


def test_a_bias_correction_that_harms_is_left_out(
    digits: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = observe(read(digits.model), digits.x_train[:200])
    for coding in (make("two-phase", steps=8), make("rate", steps=8)):
        kept = encode(seen, coding)
        plain = encode(seen, replace(coding, bias_correction=False))
        trial = HeldOut(seen)
        assert trial.error(kept, simulate=True) <= trial.error(plain, simulate=True)

    def harmful(network: Network, samples: np.ndarray) -> Network:
        target = network.model.parts.readout.target
        return replace(network, corrections={target: np.float32([5.0] * 10)})

    monkeypatch.setattr(encoding, "correct_biases", harmful)
    assert encode(seen, make("two-phase", steps=8)).corrections == {}


def test_a_change_that_helps_is_kept(digits: Example) -> None:
    seen = observe(read(digits.model), digits.x_train[:200])
    coarse = encode(seen, make("few-spike", steps=2))
    fine = encode(seen, make("few-spike", steps=8))
    assert keep_if_better(seen, coarse, fine) is fine
    assert keep_if_better(seen, fine, coarse) is fine


def test_few_samples_are_all_used(digits: Example) -> None:
    seen = observe(read(digits.model), digits.x_train[:79])
    assert len(seen.held) == 0 and seen.count == len(seen.samples) == 79
    seen = observe(read(digits.model), digits.x_train[:80])
    assert len(seen.held) == 10 and len(seen.samples) == 70 and seen.count == 80
