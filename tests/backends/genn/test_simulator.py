"""Simulators on GeNN: inputs, readouts, the cache of compiled models, refusals."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import grid_networks
from helpers.grid_networks import grid
from helpers.onnx_models import model, node, normal

import onnx2genn
from onnx2genn.backends.genn import CONNECTIVITY, memory
from onnx2genn.backends.genn import build_on_cpu as build
from onnx2genn.backends.genn.device import compile
from onnx2genn.backends.registry import open_simulator
from onnx2genn.errors import BackendError
from onnx2genn.spiking_network import SpikingNetwork

pytestmark = pytest.mark.genn

CPU = "single_threaded_cpu"


@pytest.fixture(scope="module")
def network() -> SpikingNetwork:
    return grid_networks.convert("signal", "few-spike", steps=5)


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("ONNX2GENN_CACHE", str(tmp_path))
    yield tmp_path


def test_a_second_start_compiles_nothing(
    network: SpikingNetwork,
    compiled: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    x = grid_networks.samples(network, 3)
    first = build(network)
    # A library that is loaded twice in one process has its memory once: the second is a copy.
    second = build(network)
    logits = first.run(x).logits
    np.testing.assert_array_equal(second.run(x[::-1]).logits, logits[::-1])
    np.testing.assert_array_equal(first.run(x).logits, logits)
    assert len(list(compiled.iterdir())) == 2
    first.close()
    second.close()
    (kept,) = compiled.iterdir()
    before = compilations(kept)
    monkeypatch.setenv("PATH", "")
    third = build(network)
    np.testing.assert_array_equal(third.run(x).logits, logits)
    third.close()
    assert compilations(kept) == before
    assert capfd.readouterr() == ("", "")


def compilations(folder: Path) -> dict[Path, int]:
    """Return when each object and library was written."""
    found = {item: item.stat().st_mtime_ns for item in folder.rglob("*.*o")}
    assert any(item.suffix == ".so" for item in found)
    return found


def test_other_weights_need_no_compiler(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = {"w": normal(4, 5), "v": normal(5, 3)}
    nodes = [node("MatMul", "x w", "a"), node("Relu", "a", "r"), node("MatMul", "r v", "y")]
    x = normal(20, 4)
    for factor in (1, 2):
        scaled = {name: array * np.float32(factor) for name, array in weights.items()}
        snn = onnx2genn.convert(model(nodes, {"x": ["N", 4]}, scaled), x)
        np.testing.assert_allclose(
            snn.predict(x, backend=CPU), snn.predict(x, backend="onnxruntime"), atol=1e-4
        )
    assert len(list(compiled.iterdir())) == 1


def test_a_model_that_cannot_be_compiled_leaves_nothing(
    network: SpikingNetwork, compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(BackendError, match=r"(?s)cannot build the network.*https://genn-team"):
        build(network)
    assert list(compiled.iterdir()) == []


def test_a_genn_that_ends_its_process_is_survived(
    network: SpikingNetwork, compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compile, "_CHILD", "import os; print('Assertion', flush=True); os.abort()")
    with pytest.raises(BackendError, match=r"(?s)cannot build.*ended with status -6\n  Assertion"):
        build(network)
    assert list(compiled.iterdir()) == []


def test_a_broken_library_is_built_again(network: SpikingNetwork, compiled: Path) -> None:
    """Loading it would end this process."""
    x = grid_networks.samples(network, 3)
    first = build(network)
    wanted = first.run(x).logits
    first.close()
    (library,) = compiled.rglob("librunner.so")
    library.write_bytes(library.read_bytes()[: library.stat().st_size // 2])
    second = build(network)
    np.testing.assert_array_equal(second.run(x).logits, wanted)
    second.close()


@pytest.mark.parametrize("connectivity", CONNECTIVITY)
def test_random_input_has_the_spikes_of_the_embedded_engine(connectivity: str) -> None:
    """Whatever group of samples or process they are drawn in."""
    network = grid_networks.convert("signal", "rate", steps=8, input="poisson", readout="spikes")
    x = grid_networks.samples(network, 9)
    with open_simulator(network, "onnxruntime") as embedded:
        wanted = embedded.run(x, first=3, record=True)
    with open_simulator(network, CPU, connectivity=connectivity) as simulator:
        got = simulator.run(x, first=3, record=True)
        parts = [simulator.run(x[at : at + 2], first=3 + at).logits for at in range(0, 9, 2)]
    assert wanted.codes is not None and got.codes is not None
    for name, codes in wanted.codes.items():
        np.testing.assert_array_equal(got.codes[name], codes, err_msg=name)
    np.testing.assert_array_equal(got.logits, wanted.logits)
    np.testing.assert_array_equal(np.concatenate(parts), wanted.logits)


@pytest.mark.parametrize(
    "options",
    [
        {"coding": "few-spike"},
        {"coding": "two-phase"},
        {"coding": "rate", "steps": 8},
        {"coding": "rate", "steps": 8, "readout": "spikes"},
    ],
)
def test_a_network_without_hidden_neurons(options: dict[str, Any]) -> None:
    """Logistic regression: what is read lies in the window of the readout."""
    proto = model([node("Gemm", "x w b", "y")], {"x": ["N", 4]}, {"w": grid(4, 3), "b": grid(3)})
    x = 4 * grid(7, 4, seed=1)
    network = onnx2genn.convert(proto, x, **options)
    with open_simulator(network, "onnxruntime") as embedded:
        wanted = embedded.run(x, record=True)
    for connectivity in CONNECTIVITY:
        with open_simulator(network, CPU, connectivity=connectivity) as simulator:
            for record in (False, True):
                got = simulator.run(x, record=record)
                np.testing.assert_allclose(got.logits, wanted.logits, atol=1e-6)
        np.testing.assert_allclose(got.logits_by_step, wanted.logits_by_step, atol=1e-6)


def test_a_long_run_winds_the_clock_back(
    network: SpikingNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = grid_networks.samples(network, 30)
    with open_simulator(network, CPU) as simulator:
        wanted = simulator.run(x).logits
        monkeypatch.setattr("onnx2genn.backends.genn.simulator._CLOCK", 10)
        np.testing.assert_array_equal(simulator.run(x).logits, wanted)


def test_what_does_not_fit_is_named(
    network: SpikingNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 1000)
    with pytest.raises(BackendError, match=r"(?s)MatMul.*sparse matrix.*GiB.*onnxruntime"):
        build(network)


def test_an_unknown_connectivity_is_explained(network: SpikingNetwork) -> None:
    with pytest.raises(BackendError, match="scatter or portable"):
        build(network, connectivity="dense")


def environment() -> dict[str, str]:
    folders = [str(Path(__file__).parents[2]), *sys.path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}


def test_two_processes_build_the_same_model(compiled: Path) -> None:
    code = (
        "from helpers import grid_networks as g\n"
        "network = g.convert('signal', 'rate', steps=4)\n"
        "print(network.predict(g.samples(network, 2), backend='single_threaded_cpu').sum())"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [child.communicate(timeout=300) for child in children]
    assert [child.returncode for child in children] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert len(list(compiled.iterdir())) == 1
