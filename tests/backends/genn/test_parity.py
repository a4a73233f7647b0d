"""GeNN and the embedded engine send the same spikes, neuron by neuron."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Example
from helpers import grid_networks

import onnx2genn
from onnx2genn.backends.base import Activity, Simulator
from onnx2genn.backends.genn import CONNECTIVITY
from onnx2genn.backends.genn.device.assembly import Target, assemble
from onnx2genn.backends.genn.device.portable import PARALLEL, Limits
from onnx2genn.backends.genn.installation import CPU
from onnx2genn.backends.genn.planner import make_plan
from onnx2genn.backends.genn.simulator import GennSimulator
from onnx2genn.backends.registry import open_simulator
from onnx2genn.spiking_network import SpikingNetwork

pytestmark = pytest.mark.genn

BACKEND = os.environ.get("ONNX2GENN_BACKEND", CPU)
"""The backend to try: whoever has a GPU runs these tests on it."""
FULL = bool(os.environ.get("ONNX2GENN_PARITY"))
"""Every coding with every network on its own, instead of all networks side by side."""
# Ways to build on it.
DEVICES: dict[str, dict[str, Any]] = (
    {name: {"connectivity": name} for name in CONNECTIVITY}
    if BACKEND == CPU
    else {"single": {"batch_size": 1}, "batch": {"batch_size": 5}}
)
MNIST = Path(__file__).parents[2] / "models" / "mnist.onnx"
CODINGS: dict[str, dict[str, Any]] = {
    "few-spike": {"coding": "few-spike", "steps": 6},
    # Digits of -1, 0 and 1: 13 levels above 0.
    "ternary": {"coding": "few-spike", "steps": 3, "signed": True, "scale": 13 / 8},
    "two-phase": {"coding": "two-phase", "steps": 8},
    "first-spike": {"coding": "first-spike", "steps": 8},
    "octaves": {"coding": "first-spike", "steps": 8, "per_octave": 2},
    "ahead": {"coding": "rate", "steps": 8, "lookahead": 2},
    "all ahead": {"coding": "rate", "steps": 4, "lookahead": 4},
    "hard": {"coding": "rate", "steps": 8, "reset": "hard", "lookahead": 0},
    "firing": {"coding": "rate", "steps": 8, "readout": "spikes"},
    "poisson": {"coding": "rate", "steps": 8, "input": "poisson"},
    "events": {"coding": "rate", "steps": 8, "input": "events"},
    # Spikes of 1 to 3 thirds of the threshold.
    "signed ahead": {"coding": "rate", "steps": 8, "signed": True, "bits": 2, "scale": 3.0},
    **{
        name: {"coding": name, "steps": steps, "scale": scale}
        for name, steps, scale in [
            ("diehl", 16, 1.0),
            ("rueckauer", 16, 1.0),
            ("sengupta", 16, 1.0),
            ("signed", 8, 1.0),
            ("graded", 4, 15.0),
        ]
    },
}


@dataclass(frozen=True)
class Pair:
    """What both engines made of the same samples, and the simulator of GeNN, still open."""

    network: SpikingNetwork
    samples: np.ndarray
    wanted: Activity
    got: Activity
    simulator: Simulator


def compare(
    network: SpikingNetwork, samples: np.ndarray, device: str, **options: str
) -> AbstractContextManager[Pair]:
    opened = open_simulator(network, BACKEND, **DEVICES[device], **options)
    return compared(network, samples, opened)


@contextmanager
def compared(
    network: SpikingNetwork, samples: np.ndarray, opened: AbstractContextManager[Simulator]
) -> Iterator[Pair]:
    with open_simulator(network, "onnxruntime") as embedded:
        wanted = embedded.run(samples, record=True)
    with opened as simulator:
        yield Pair(network, samples, wanted, simulator.run(samples, record=True), simulator)


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


def assert_equal_in_every_run(network: SpikingNetwork, device: str, **options: str) -> None:
    """Of all samples twice, of some and of a single one, in any order."""
    with compare(network, grid_networks.samples(network, 32), device, **options) as pair:
        assert_equal(pair)
        assert_equal(replace(pair, got=pair.simulator.run(pair.samples, record=True)))
        if network.coding.poisson:
            logits = pair.simulator.run(pair.samples[7:9], first=7).logits
            np.testing.assert_array_equal(logits, pair.wanted.logits[7:9])
            return
        order = np.random.default_rng(0).permutation(32)
        for chosen in (order[:5], order[:1], order):
            logits = pair.simulator.run(pair.samples[chosen]).logits
            np.testing.assert_array_equal(logits, pair.wanted.logits[chosen])
        assert_equal(replace(pair, got=pair.simulator.run(pair.samples, record=True)))


THOROUGH = ("few-spike", "ahead", "signed ahead", "diehl")
"""Codings on both devices; others take turns, so that these tests take minutes."""


@pytest.mark.parametrize(
    ("coding", "device"),
    [
        (coding, device)
        for index, coding in enumerate(CODINGS)
        for turn, device in enumerate(DEVICES)
        if coding in THOROUGH or FULL or turn == index % len(DEVICES)
    ],
)
def test_equal_to_the_last_spike(device: str, coding: str) -> None:
    """All kinds of networks at once: what is compiled together is compiled sooner."""
    network = grid_networks.convert(grid_networks.TOGETHER, **CODINGS[coding])
    assert_equal_in_every_run(network, device)


RELAYED = ("few-spike", "octaves", "ahead")
"""Codings with relays wherever there may be any, each on one device; the others if all is tried."""


@pytest.mark.parametrize(
    ("coding", "device"),
    [
        (coding, device)
        for index, coding in enumerate(CODINGS if FULL else RELAYED)
        for turn, device in enumerate(DEVICES)
        if FULL or turn != index % len(DEVICES)
    ],
)
def test_relays_lose_nothing(device: str, coding: str) -> None:
    network = grid_networks.convert("streams", **CODINGS[coding])
    assert_equal_in_every_run(network, device, relays="all")


@pytest.mark.parametrize(
    ("coding", "name", "relays"),
    [
        ("few-spike", "branches", "auto"),
        ("ternary", "gates", "auto"),
        ("octaves", "streams", "all"),
    ],
)
def test_populations_with_fewer_digits(coding: str, name: str, relays: str) -> None:
    """With pools of two populations, functions of several sums, and relays."""
    network = grid_networks.convert(name, **CODINGS[coding])
    network = grid_networks.with_fewer_digits(network)
    assert len(set(network.digits.values())) == 2
    assert_equal_in_every_run(network, list(DEVICES)[-1], relays=relays)


@pytest.mark.skipif("portable" not in DEVICES, reason="synapse groups are tested on the device")
def test_no_queue_is_cleared_as_that_of_others() -> None:
    """One group delays only what goes to SPARSE, another only what goes to TOEPLITZ."""
    network = grid_networks.convert(grid_networks.TOGETHER, **CODINGS["ternary"])
    assert_equal_in_every_run(network, "portable", relays="none")


@pytest.mark.skipif(not FULL, reason="half an hour: set ONNX2GENN_PARITY=full")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("coding", "name"), [*product(CODINGS, grid_networks.NETWORKS)])
def test_each_network_on_its_own(device: str, coding: str, name: str) -> None:
    assert_equal_in_every_run(grid_networks.convert(name, **CODINGS[coding]), device)


@pytest.mark.parametrize(
    ("coding", "limits", "kinds"),
    [
        ("few-spike", PARALLEL, {"DENSE"}),
        ("signed ahead", Limits(one_block=130, dense_bytes=2**16), {"DENSE", "SPARSE", "TOEPLITZ"}),
    ],
)
def test_what_a_gpu_runs(coding: str, limits: Limits, kinds: set[str]) -> None:
    """On the CPU, for lack of a GPU: the same spikes, and small targets without a race."""
    from pygenn import ParallelismHint

    network = grid_networks.convert("branches", **CODINGS[coding])
    target = Target(backend=CPU, batch_size=1, connectivity="portable", limits=limits)
    plan = make_plan(network)
    found = set()
    for group in assemble(plan, target).model.synapse_populations.values():
        kind = group.matrix_type.name.split("_")[0]
        found.add(kind)
        if group.trg.num_neurons <= limits.one_block:
            by_source = group.parallelism_hint == ParallelismHint.PRESYNAPTIC
            assert kind == "DENSE" or (kind == "SPARSE" and by_source), group.name
    assert found == kinds
    simulator = closing(GennSimulator(network, plan, target, batch_size=64))
    with compared(network, grid_networks.samples(network), simulator) as pair:
        assert_equal(pair)


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


@pytest.mark.parametrize("coding", ["few-spike", "ahead"])
def test_trained_digits(coding: str, digits: Example) -> None:
    network = onnx2genn.convert(digits.model, digits.x_train, **CODINGS[coding])
    with compare(network, digits.x_test[:64], next(iter(DEVICES))) as pair:
        assert_nearly_equal(pair)


@pytest.mark.parametrize("coding", ["few-spike", "ahead"])
def test_trained_mnist(coding: str, shared: Callable[[str], Path]) -> None:
    with np.load(shared("data/mnist.npz")) as data:
        train, test = (data[name][:256, ..., None] / np.float32(255) for name in SPLITS)
    network = onnx2genn.convert(MNIST, train, **CODINGS[coding])
    with compare(network, test[:64], next(iter(DEVICES))) as pair:
        assert_nearly_equal(pair)


SPLITS = ("x_train", "x_test")
