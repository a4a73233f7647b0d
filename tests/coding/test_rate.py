"""Integrate-and-fire neurons against their equations, one neuron and one step at a time."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from onnx2genn.coding import make
from onnx2genn.coding.rate import Rate
from onnx2genn.errors import CodingError


def fired(coding: Rate, current: np.ndarray) -> np.ndarray:
    spikes = np.empty((coding.steps, *current.shape[1:]), np.float32)
    coding.fire(current.astype(np.float32), spikes)
    return spikes


def reference(coding: Rate, current: np.ndarray) -> np.ndarray:
    """Simulate the graded, signed neuron of the docstring, which looks ahead, with fractions."""
    largest = 2**coding.bits - 1
    spikes = np.zeros((coding.steps, current.shape[1]))
    for neuron, received in enumerate(current.T):
        sent = 0
        for step in range(coding.steps):
            heard = min(step + 1 + coding.lookahead, coding.steps)
            total = Fraction(sum(received[:heard])) * (step + 1) / heard
            lowest = -min(sent, largest) if coding.signed else 0
            spike = min(max(math.floor(total + Fraction(coding.initial) - sent), lowest), largest)
            sent += spike
            spikes[step, neuron] = spike
    return spikes


@pytest.mark.parametrize("lookahead", [0, 1, 2, 12, 20])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_spikes_follow_the_equation(bits: int, signed: bool, lookahead: int) -> None:
    coding = Rate(steps=12, bits=bits, signed=signed, lookahead=lookahead)
    random = np.random.default_rng(bits)
    current = random.integers(-16, 24, (12, 400)) / 16 * coding.quantiser.levels / coding.steps
    current *= np.arange(400) % 8
    spikes = fired(coding, current)
    assert np.array_equal(spikes, reference(coding, current))
    assert spikes.max() == 2**bits - 1
    # Who knows the whole input takes nothing back.
    assert (spikes.min() < 0) == (signed and lookahead < coding.steps)
    assert spikes.cumsum(axis=0).min() == 0


@pytest.mark.parametrize(
    "options", [{}, {"bits": 3}, {"signed": True}, {"bits": 2, "signed": True}]
)
@pytest.mark.parametrize("initial", [0.0, 0.5])
@pytest.mark.parametrize("lookahead", [0, 3])
def test_a_constant_current_makes_the_code_of_the_quantiser(
    options: dict[str, int], initial: float, lookahead: int
) -> None:
    coding = Rate(steps=8, initial=initial, lookahead=lookahead, **options)
    quantiser = coding.quantiser
    threshold = np.float32(quantiser.levels / 32)  # a level of 1/4, so that float sums are exact
    values = np.arange(-64, 640, dtype=np.float32) / 128
    spikes = fired(coding, values[None] / coding.unit(threshold))
    decoded = spikes.sum(axis=0) * quantiser.step_value(threshold)
    assert np.array_equal(decoded, quantiser.quantise(values, threshold))
    assert decoded.max() == threshold


def test_signed_spikes_take_back_what_came_too_early() -> None:
    """The same mean input, first above and then below it: only a signed neuron gets it right."""
    current = np.array([1.0] * 4 + [-0.5] * 4)[:, None]
    assert fired(Rate(steps=8, lookahead=0), current).sum() == 4
    assert fired(Rate(steps=8, lookahead=0, signed=True), current).sum() == 2


def test_looking_ahead_a_neuron_does_not_send_what_it_would_have_to_take_back() -> None:
    """Random currents: the error of the count falls with each step of look-ahead, down to none."""
    current = np.random.default_rng(0).normal(0.2, 0.6, (16, 2000)).astype(np.float32)
    wanted = np.clip(np.floor(current.sum(axis=0) + 0.5), 0, 16)
    errors = [
        np.abs(fired(Rate(steps=16, lookahead=ahead), current).sum(axis=0) - wanted).mean()
        for ahead in (0, 1, 2, 4, 16)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 0.5 * errors[0]
    assert errors[-1] == 0


@pytest.mark.parametrize("options", [{}, {"lookahead": 0}, {"lookahead": 9, "steps": 4}])
def test_timing_leaves_one_step_and_the_lookahead_for_each_population(
    options: dict[str, int],
) -> None:
    coding = Rate(**options)
    ahead = min(options.get("lookahead", 2), coding.steps)
    for depth in range(3):
        assert coding.window_start(depth) == coding.input_start(depth) + ahead
        assert coding.input_start(depth + 1) == coding.window_start(depth) + 1
    assert coding.input_start(0) == 0
    assert coding.latency(2) == 2 * (ahead + 1) + coding.steps
    assert coding.latency(2, firing=True) == coding.latency(2) + ahead


@pytest.mark.parametrize(
    ("steps", "depth", "ahead"),
    [(32, 0, 2), (32, 6, 2), (32, 13, 4), (32, 33, 11), (16, 33, 8), (64, 33, 22), (100, 3, 6)],
)
def test_deeper_networks_look_further_ahead(steps: int, depth: int, ahead: int) -> None:
    coding = Rate(steps=steps)
    assert coding.for_depth(depth) == Rate(steps=steps, lookahead=ahead)
    assert Rate(steps=steps, lookahead=5).for_depth(depth).lookahead == 5


def test_a_short_window_has_no_more_than_its_steps() -> None:
    assert Rate(steps=1).for_depth(33).latency(2) == 2 * 2 + 1


def test_the_graded_preset_sends_four_bits() -> None:
    assert make("graded").quantiser.levels == make("graded").steps * 15


@pytest.mark.parametrize(
    "options",
    [
        {"bits": 0},
        {"bits": 9},
        {"bits": 2, "reset": "hard"},
        {"lookahead": -1},
        {"lookahead": "far"},
        {"lookahead": 1.5},
        {"reset": "hard"},
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(CodingError):
        Rate(**options)  # type: ignore[arg-type]


def test_spike_norm_needs_neurons_that_fire_while_they_integrate() -> None:
    with pytest.raises(CodingError, match="spike-norm"):
        make("few-spike", threshold="spike-norm")
