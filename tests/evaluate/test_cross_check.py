"""Two backends on the same samples: what is equal, what is rounding, and what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Example
from helpers import grid_networks

import onnx2genn
from onnx2genn.backends import embedded
from onnx2genn.backends.base import Activity, Backend, Finding, Simulator
from onnx2genn.backends.registry import BACKENDS, open_simulator, register
from onnx2genn.cli import main
from onnx2genn.errors import BackendError
from onnx2genn.network import Network
from onnx2genn.spiking_network import SpikingNetwork

CODINGS: list[dict[str, Any]] = [
    {"coding": "few-spike", "steps": 6},
    {"coding": "rate", "steps": 16},
    {"coding": "rate", "steps": 16, "lookahead": 0},
    {"coding": "rate", "steps": 16, "input": "poisson", "readout": "spikes", "lookahead": 0},
]


@pytest.fixture
def another() -> Iterator[Callable[[Callable[[Network], Network]], str]]:
    """Registers the embedded engine under another name, with a network that is changed first."""

    def add(change: Callable[[Network], Network]) -> str:
        def build(network: Network, *, batch_size: int | None = None) -> Simulator:
            return embedded.build(change(network), batch_size=batch_size)

        register(Backend(name="another", description="of a test", build=build))
        return "another"

    yield add
    BACKENDS.pop("another", None)


def with_threshold(network: Network, name: str, factor: float | np.ndarray) -> Network:
    changed = np.asarray(network.thresholds[name] * factor, np.float32)
    return replace(network, thresholds={**network.thresholds, name: changed})


@pytest.mark.parametrize("options", CODINGS)
def test_the_last_digits_of_thresholds_are_rounding(
    options: dict[str, Any], digits: Example, another: Callable[..., str]
) -> None:
    network = onnx2genn.convert(digits.model, digits.x_train, **options)
    random = np.random.default_rng(0)

    def changed(given: Network) -> Network:
        for item in given.populations:
            shape = given.thresholds[item.name].shape
            given = with_threshold(given, item.name, 1 + 4e-7 * random.uniform(-1, 1, shape))
        return given

    found = network.cross_check(digits.x_test[:200], backend=another(changed))
    assert found.fault == ""
    assert found.error < 0.01
    assert found.identical == (sum(item.different for item in found.populations) == 0)


@pytest.mark.parametrize("options", CODINGS)
@pytest.mark.parametrize("index", [0, 1, 2])
def test_another_threshold_is_found_where_it_is(
    options: dict[str, Any], index: int, digits: Example, another: Callable[..., str]
) -> None:
    """One channel of one population; what follows is not blamed on others."""
    network = onnx2genn.convert(digits.model, digits.x_train, **options, per_channel=True)
    item = network.populations[index]
    factor = np.ones_like(network.thresholds[item.name])
    with open_simulator(network, "onnxruntime") as simulator:
        spikes = simulator.run(network.prepare(digits.x_test[:100]), record=True).spikes
    assert spikes is not None
    busy = spikes[item.name].reshape(100, len(factor), -1).sum(axis=(0, 2))
    factor[np.argmax(busy)] = 0.8

    found = network.cross_check(
        digits.x_test[:100], backend=another(lambda given: with_threshold(given, item.name, factor))
    )
    assert item.name in found.fault
    assert next(part.name for part in found.populations if part.own) == item.name
    assert not found.identical


@pytest.mark.parametrize("coding", ["few-spike", "rate"])
def test_a_wrong_readout_is_found(coding: str, another: Callable[..., str]) -> None:
    network = grid_networks.convert("signal", coding, steps=8)
    target = network.model.parts.readout.target
    wrong = {target: np.float32([0, 0.5, 0])}
    name = another(lambda given: replace(given, corrections=wrong))
    found = network.cross_check(grid_networks.samples(network, 8), backend=name)
    assert found.identical and found.fault == "the readout"


class Forgetful:
    """An engine that starts its second run in another state than the first."""

    backend = "another"

    def __init__(self, inner: Simulator) -> None:
        self._inner, self.batch_size, self._runs = inner, inner.batch_size, 0

    def run(self, samples: np.ndarray, *, first: int = 0, record: bool = False) -> Activity:
        self._runs += 1
        if self._runs > 1:
            samples = np.concatenate([2 * samples[:1], samples[1:]])
        return self._inner.run(samples, first=first, record=record)

    def close(self) -> None:
        self._inner.close()


def test_a_state_that_is_left_over_is_found(another: Callable[..., str]) -> None:
    network = grid_networks.convert("signal", "few-spike", steps=8)
    name = another(lambda given: given)
    build = BACKENDS[name].build
    register(replace(BACKENDS[name], build=lambda *a, **b: Forgetful(build(*a, **b))))
    found = network.cross_check(grid_networks.samples(network, 8), backend=name)
    assert found.identical and found.fault == "the second run of the same samples"


def test_a_backend_beside_itself_is_refused() -> None:
    network = grid_networks.convert("signal", "few-spike", steps=4)
    with pytest.raises(BackendError, match="with itself"):
        network.cross_check(grid_networks.samples(network, 2), backend="onnxruntime")


def test_without_another_backend_it_is_said_what_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    network = grid_networks.convert("signal", "few-spike", steps=4)
    lacking = Finding(name="PyGeNN", found="", remedy="Install it.")
    for item in BACKENDS.values():
        if item.name != "onnxruntime":
            monkeypatch.setitem(BACKENDS, item.name, replace(item, needs=lambda: [lacking]))
    with pytest.raises(BackendError, match=r"(?s)no other.*cuda lacks PyGeNN. Install it.*hip"):
        network.cross_check(grid_networks.samples(network, 2))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "snn.onnx"
    network: SpikingNetwork = grid_networks.convert("signal", "few-spike", steps=5)
    network.save(path)
    return path


@pytest.mark.genn
def test_the_command_compares_with_genn(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tmp_path / "result.json"
    assert main([str(saved), "--cross-check", "--json", str(result)]) == 0
    out = capsys.readouterr().out
    assert "against onnxruntime, 16 samples" in out
    record = json.loads(result.read_text())
    assert record["fault"] == "" and record["backend"] != "onnxruntime"
    assert [item["different"] for item in record["populations"]] == [0, 0, 0]
    for item in record["populations"]:
        assert item["spikes"][0] == item["spikes"][1] > 0
        assert item["node"] in out
    assert record["error"] < 1e-6


def test_the_command_fails_where_they_differ(
    saved: Path, capsys: pytest.CaptureFixture[str], another: Callable[..., str]
) -> None:
    network = onnx2genn.load(saved)
    second = network.populations[1]
    name = another(lambda given: with_threshold(given, second.name, 0.5))
    assert main([str(saved), "--cross-check", name]) == 1
    printed = capsys.readouterr()
    assert f"first in population {second.name!r}" in printed.err
    assert "differs" in printed.out
    assert main([str(saved), "--cross-check", "onnxruntime"]) == 1
    for words in (["--report", "page.html"], ["--metric", "rmse"], ["--check"]):
        with pytest.raises(SystemExit, match="2"):
            main([str(saved), "--cross-check", name, *words])
