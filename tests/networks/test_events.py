"""Networks whose input are events: what the ANN sees is their sum."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import ROOT
from helpers import grid_networks
from helpers.onnx_models import model, node, normal

import onnx2genn
from onnx2genn.backends.registry import open_simulator
from onnx2genn.cli import main
from onnx2genn.coding import make
from onnx2genn.errors import BackendError, CodingError, DataError
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.ir.run import session

FIELDS = [("x", np.int16), ("y", np.int16), ("p", bool), ("t", np.int64)]
EVENTS = {"coding": "rate", "steps": 8, "input": "events"}
BACKENDS = ["onnxruntime", pytest.param("single_threaded_cpu", marks=pytest.mark.genn)]


def network_of_counts() -> onnx.ModelProto:
    nodes = [
        node("Conv", "x w0 b0", "c", pads=[1] * 4),
        node("Relu", "c", "r"),
        node("Flatten", "r", "f"),
        node("Gemm", "f w1", "h"),
        node("Relu", "h", "s"),
        node("MatMul", "s w2", "y"),
    ]
    weights = {"w0": normal(3, 2, 3, 3, scale=0.3), "b0": normal(3, scale=0.2)}
    weights |= {"w1": normal(75, 16, scale=0.2), "w2": normal(16, 4)}
    return model(nodes, {"x": ["N", 2, 5, 5]}, weights)


def recordings(count: int, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    found = []
    for size in random.integers(20, 60, count):
        events = np.zeros(size, FIELDS)
        for name, most in (("x", 5), ("y", 5), ("p", 2), ("t", 10**6)):
            events[name] = random.integers(0, most, size)
        found.append(events)
    return found


def save(path: Path, events: list[np.ndarray]) -> None:
    counts, y = [len(item) for item in events], np.arange(len(events)) % 4
    np.savez(path, x=np.concatenate(events), counts=counts, y=y)


@pytest.mark.parametrize("lookahead", [8, 2, 0])
def test_the_answer_is_that_to_the_sum(lookahead: int) -> None:
    """With all of the input known before a neuron fires, exactly; else nearly."""
    proto = network_of_counts()
    snn = onnx2genn.convert(proto, recordings(100), **EVENTS, lookahead=lookahead)
    events = recordings(50, seed=1)
    counts = snn.prepare(events)
    assert counts.shape == (50, 8, 2, 5, 5)
    logits = snn.predict(events, backend="onnxruntime")
    np.testing.assert_array_equal(snn.predict(counts, backend="onnxruntime"), logits)
    forecast = Forecast(snn).logits(events)
    if lookahead == 8:
        np.testing.assert_allclose(logits, forecast, atol=1e-4)
    evaluation = snn.evaluate(events, backend="onnxruntime")
    assert evaluation.agreement is not None
    assert evaluation.agreement >= (0.9 if lookahead else 0.7)
    (ann,) = snn.model.activations([snn.model.parts.readout.target], counts)
    (wanted,) = session(proto).run(None, {"x": counts.sum(1, dtype=np.float32)})
    np.testing.assert_allclose(next(iter(ann.values())), wanted, atol=1e-4)
    assert evaluation.projections[0].sops > 0 and evaluation.projections[0].current_macs == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_ways_to_the_same_answers(backend: str, tmp_path: Path) -> None:
    """Batches, streams, and a network that was saved."""
    snn = onnx2genn.convert(network_of_counts(), recordings(100), **EVENTS)
    events = recordings(9, seed=2)
    wanted = snn.predict(events, backend="onnxruntime")
    found = snn.predict(events, backend=backend, batch_size=4)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    streamed = list(snn.stream(iter(events), backend=backend))
    np.testing.assert_allclose(streamed, wanted, atol=1e-4)
    snn.save(tmp_path / "snn.onnx")
    again = onnx2genn.load(tmp_path / "snn.onnx").predict(events, backend=backend)
    np.testing.assert_array_equal(again, found)


def test_the_timing_of_spikes_matters() -> None:
    """They enter step by step: what comes late cannot have been sent early."""
    network = grid_networks.convert("residual", **EVENTS, lookahead=0)
    samples = np.zeros((2, 8, *network.input_shape), np.uint8)
    samples[0, 0] = samples[1, 7] = grid_networks.samples(network, 1)[0].max(axis=0)
    with open_simulator(network, "onnxruntime") as simulator:
        activity = simulator.run(samples, record=True)
    assert activity.logits_by_step is not None
    early, late = activity.logits_by_step.swapaxes(0, 1)
    assert np.abs(early[6] - late[6]).max() > 0
    samples[0] = 0
    with open_simulator(network, "onnxruntime") as simulator:
        silent = simulator.run(samples[:1], record=True).logits_by_step
    assert silent is not None
    np.testing.assert_array_equal(late[6], silent[6, 0])


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(network_of_counts(), tmp_path / "model.onnx")
    for name, seed in (("train", 0), ("test", 1)):
        save(tmp_path / f"{name}.npz", recordings(100, seed))
    words = [tmp_path / "model.onnx", "--coding", "rate", "--steps", 8, "--option", "input=events"]
    words += ["--calibrate", tmp_path / "train.npz", "--backend", "onnxruntime"]
    result = tmp_path / "result.json"
    data = ["--evaluate", tmp_path / "test.npz", "--limit", 40]
    assert main([*map(str, [*words, *data, "--json", result])]) == 0
    record = json.loads(result.read_text())
    assert record["samples"] == 40 and record["agreement"] >= 0.8
    assert main([*map(str, words)]) == 0
    assert "random inputs" in capsys.readouterr().out


def test_the_example_of_the_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/events.md, with files in the place of those that it makes with scikit-learn."""
    text = (ROOT / "docs" / "events.md").read_text()
    (command,), (code,) = (
        re.findall(rf"```{kind}\n(.*?)```", text, re.S) for kind in ("sh", "python")
    )
    monkeypatch.chdir(tmp_path)
    onnx.save(network_of_counts(), "events.onnx")
    for name, seed in (("train", 0), ("test", 1)):
        save(Path(f"events_{name}.npz"), recordings(100, seed))
    assert main(command.split()[1:]) == 0
    found: dict[str, Any] = {}
    exec(code, found)
    assert found["logits"].shape == (10, 4)
    assert found["counts"].shape == (10, 16, 2, 5, 5)
    assert found["evaluation"].samples == 100


def test_what_does_not_go_with_events() -> None:
    proto, events = network_of_counts(), recordings(30)
    sums = normal(30, 2, 5, 5)
    with pytest.raises(DataError, match=r"counts \[samples, bins, 2, 5, 5\]"):
        onnx2genn.convert(proto, sums, **EVENTS)
    with pytest.raises(CodingError, match="say how many"):
        onnx2genn.convert(proto, events, "rate", input="events", steps="auto")
    with pytest.raises(CodingError, match="no option input"):
        onnx2genn.convert(proto, events, "few-spike", input="events")
    with pytest.raises(DataError, match="input='events'"):
        onnx2genn.convert(proto, events[0])
    with pytest.raises(DataError, match="one input"):
        grid_networks.convert("fusion", **EVENTS).predict(events)
    with pytest.raises(BackendError, match="input is spikes"):
        onnx2genn.convert(proto, events, **EVENTS).export_genn("somewhere")


def test_a_check_reads_files_of_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the conversion that it stands for."""
    path, data = tmp_path / "model.onnx", tmp_path / "events.npz"
    onnx.save(network_of_counts(), path)
    save(data, recordings(4))
    words = [str(path), "--check", "--calibrate", str(data), "--coding", "rate"]
    assert main([*words, "--option", "input=events"]) == 0
    assert "can be converted" in capsys.readouterr().out
    coding = make("rate", steps=8, input="events")
    assert onnx2genn.check(path, recordings(4), coding=coding) == []
    assert main(words) == 1
    assert "input='events'" in capsys.readouterr().err
