"""GeNN and the embedded engine send the same spikes, neuron by neuron."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Example
from helpers import grid_networks
from helpers.own_coding import Prompt

import onnx2genn
from onnx2genn.api import SpikingNetwork
from onnx2genn.backends.base import Activity, Simulator
from onnx2genn.backends.genn import build_on_cpu
from onnx2genn.backends.genn.device import portable
from onnx2genn.backends.registry import open_simulator

pytestmark = pytest.mark.genn

MNIST = Path(__file__).parents[2] / "models" / "mnist.onnx"
CODINGS: dict[str, dict[str, Any]] = {
    "few-spike": {"coding": "few-spike", "steps": 6},
    "soft": {"coding": "rate", "steps": 16, "lookahead": 0},
    "ahead": {"coding": "rate", "steps": 8, "lookahead": 2},
    "all ahead": {"coding": "rate", "steps": 4, "lookahead": 4},
    "hard": {"coding": "rate", "steps": 16, "reset": "hard", "initial": 0.0, "lookahead": 0},
    "two-phase": {"coding": "two-phase", "steps": 8},
    # Spikes of 1 to 3 thirds of the threshold.
    "signed": {"coding": "rate", "steps": 8, "signed": True, "bits": 2, "scale": 3.0},
    "counted": {"coding": "rate", "steps": 8, "readout": "spikes", "bits": 2, "scale": 3.0},
    "own": {"coding": Prompt(rounding=0.25)},
    "signed at once": {"coding": "rate", "steps": 8, "signed": True, "lookahead": 0},
}
SCATTER = [
    *itertools.product(grid_networks.NETWORKS, ["few-spike", "soft", "ahead", "hard"]),
    ("branches", "two-phase"),
    ("branches", "all ahead"),
    ("branches", "signed at once"),
    ("branches", "signed"),
    ("branches", "counted"),
    ("branches", "own"),
    ("residual", "own"),
]
PORTABLE = [
    ("residual", "ahead"),
    ("mobile", "few-spike"),
    ("branches", "few-spike"),
    ("branches", "signed"),
    ("signal", "soft"),
    ("fusion", "few-spike"),
    ("largest", "soft"),
]


@dataclass(frozen=True)
class Pair:
    """What both engines made of the same samples, and the simulator of GeNN, still open."""

    network: SpikingNetwork
    samples: np.ndarray
    wanted: Activity
    got: Activity
    simulator: Simulator


Compare = Callable[[SpikingNetwork, np.ndarray, str], Pair]


@pytest.fixture(scope="module")
def simulators() -> Iterator[list[Simulator]]:
    opened: list[Simulator] = []
    yield opened
    for simulator in opened:
        simulator.close()


@pytest.fixture(scope="module")
def compare(simulators: list[Simulator]) -> Compare:
    def run(network: SpikingNetwork, samples: np.ndarray, connectivity: str) -> Pair:
        with open_simulator(network, "onnxruntime") as embedded:
            wanted = embedded.run(samples, record=True)
        simulator = build_on_cpu(network, connectivity=connectivity)
        simulators.append(simulator)
        return Pair(network, samples, wanted, simulator.run(samples, record=True), simulator)

    return run


def assert_equal(pair: Pair) -> None:
    assert pair.wanted.codes is not None and pair.got.codes is not None
    assert pair.wanted.spikes is not None and pair.got.spikes is not None
    for item in pair.network.populations:
        wanted = pair.wanted.codes[item.name]
        assert np.count_nonzero(wanted) > 0.02 * wanted.size, f"{item.name} is silent"
        np.testing.assert_array_equal(pair.got.codes[item.name], wanted, err_msg=item.name)
        np.testing.assert_array_equal(
            pair.got.spikes[item.name], pair.wanted.spikes[item.name], err_msg=item.name
        )
    np.testing.assert_array_equal(pair.got.logits, pair.wanted.logits)
    np.testing.assert_allclose(pair.got.logits_by_step, pair.wanted.logits_by_step, atol=1e-5)


@pytest.mark.parametrize(
    ("connectivity", "name", "coding"),
    [("scatter", *item) for item in SCATTER] + [("portable", *item) for item in PORTABLE],
)
def test_equal_to_the_last_spike(
    connectivity: str, name: str, coding: str, compare: Compare
) -> None:
    network = grid_networks.convert(name, **CODINGS[coding])
    pair = compare(network, grid_networks.samples(network), connectivity)
    assert_equal(pair)
    # Every run starts from the same state, whatever the one before left behind.
    short = pair.simulator.run(pair.samples[:5]).logits
    np.testing.assert_array_equal(short, pair.wanted.logits[:5])
    assert_equal(replace(pair, got=pair.simulator.run(pair.samples, record=True)))


def test_small_targets_on_a_gpu_are_dense(
    compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the CPU, for lack of a GPU: the same spikes with all weights kept."""
    kinds = []
    connectivity = portable.SynapseGroups._connectivity

    def spied(*arguments: Any) -> Any:
        found = connectivity(*arguments)
        kinds.append(found[0])
        return found

    monkeypatch.setattr("onnx2genn.backends.genn.device.model.CPU", "another")
    monkeypatch.setattr(portable.SynapseGroups, "_connectivity", spied)
    network = grid_networks.convert("branches", **CODINGS["few-spike"])
    assert_equal(compare(network, grid_networks.samples(network), "portable"))
    assert set(kinds) == {"DENSE"}


def assert_nearly_equal(pair: Pair) -> None:
    """At most one neuron in a thousand differs, by one, and no prediction."""
    assert pair.wanted.codes is not None and pair.got.codes is not None
    wanted, got = (
        np.concatenate([codes[item.name].ravel() for item in pair.network.populations])
        for codes in (pair.wanted.codes, pair.got.codes)
    )
    difference = np.abs(wanted - got)
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= 1e-3 * difference.size
    np.testing.assert_array_equal(pair.got.logits.argmax(1), pair.wanted.logits.argmax(1))


@pytest.mark.parametrize("coding", ["few-spike", "soft", "ahead", "hard"])
def test_trained_digits(coding: str, digits: Example, compare: Compare) -> None:
    network = onnx2genn.convert(digits.model, digits.x_train, **CODINGS[coding])
    assert_nearly_equal(compare(network, digits.x_test[:64], "scatter"))


@pytest.mark.parametrize("coding", ["few-spike", "soft"])
def test_trained_mnist(coding: str, shared: Callable[[str], Path], compare: Compare) -> None:
    with np.load(shared("data/mnist.npz")) as data:
        train, test = (data[name][:256, ..., None] / np.float32(255) for name in SPLITS)
    network = onnx2genn.convert(MNIST, train, **CODINGS[coding])
    assert_nearly_equal(compare(network, test[:64], "scatter"))


SPLITS = ("x_train", "x_test")


@pytest.mark.parametrize("coding", ["few-spike", "soft"])
def test_samples_do_not_depend_on_their_company(coding: str, compare: Compare) -> None:
    network = grid_networks.convert("residual", **CODINGS[coding])
    pair = compare(network, grid_networks.samples(network, 24), "scatter")
    order = np.random.default_rng(0).permutation(24)
    shuffled = pair.simulator.run(pair.samples[order]).logits
    alone = [pair.simulator.run(pair.samples[index : index + 1]).logits for index in range(24)]
    np.testing.assert_array_equal(shuffled, pair.got.logits[order])
    np.testing.assert_array_equal(np.concatenate(alone), pair.got.logits)
