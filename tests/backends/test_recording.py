"""Recordings: what was sent and when, on both engines, a few samples at a time."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Example
from helpers import grid_networks

import onnx2genn
from onnx2genn import DataError
from onnx2genn.backends.recording import Recording
from onnx2genn.cli import main
from onnx2genn.export import recordings

CODINGS: dict[str, dict[str, Any]] = {
    "few-spike": {"coding": "few-spike", "steps": 6},
    "ternary": {"coding": "few-spike", "steps": 3, "signed": True, "scale": 13 / 8},
    "two-phase": {"coding": "two-phase", "steps": 8},
    "first-spike": {"coding": "first-spike", "steps": 16},
    "rate": {"coding": "rate", "steps": 8, "lookahead": 0},
    "look-ahead": {"coding": "rate", "steps": 8, "lookahead": 2},
    "hard": {"coding": "rate", "steps": 8, "lookahead": 0, "reset": "hard"},
    "signed": {"coding": "signed", "steps": 8},
    "graded": {"coding": "graded", "steps": 4, "scale": 15.0},
}


def recorded(network: Any, x: np.ndarray, **options: Any) -> list[Recording]:
    options = {"backend": "onnxruntime", **options}
    return list(network.simulate(x, **options))


@pytest.mark.parametrize("coding", CODINGS)
def test_the_events_are_what_the_codes_say(coding: str) -> None:
    network = grid_networks.convert("residual", **CODINGS[coding])
    x = grid_networks.samples(network, 5)
    spikes = {item.name: np.zeros((5, *item.shape)) for item in network.populations}
    values = {item.name: np.zeros((5, *item.shape)) for item in network.populations}
    logits = []
    for part in recorded(network, x, batch_size=2):
        logits.append(part.logits)
        for name, events in part.spikes.items():
            assert (np.diff(events.sample) >= 0).all()
            assert events.step.min(initial=0) >= 0
            assert events.step.max(initial=0) < network.coding.steps
            flat = spikes[name].reshape(5, -1)
            np.add.at(flat, (events.sample, events.neuron), 1)
            np.add.at(values[name].reshape(5, -1), (events.sample, events.neuron), events.value)
    assert len(logits) == 3
    np.testing.assert_array_equal(
        np.concatenate(logits), network.predict(x, backend="onnxruntime", batch_size=2)
    )
    found = network.evaluate(x, backend="onnxruntime", batch_size=2)
    for item in found.populations:
        assert spikes[item.name].sum() == item.spikes
    total = {item.name: float(np.abs(values[item.name]).sum()) for item in network.populations}
    assert all(value > 0 for value in total.values())


@pytest.mark.genn
@pytest.mark.parametrize("coding", CODINGS)
def test_both_engines_record_the_same(coding: str) -> None:
    network = grid_networks.convert("residual", **CODINGS[coding])
    x = grid_networks.samples(network, 3)
    neurons = [item.name for item in network.populations if not item.pools]
    both = [
        recorded(network, x, backend=backend, batch_size=3, membrane=[*neurons, "readout"])
        for backend in ("onnxruntime", "single_threaded_cpu")
    ]
    for mine, other in zip(*both, strict=True):
        assert mine.spikes.keys() == other.spikes.keys()
        for name, events in mine.spikes.items():
            for kind in ("sample", "step", "neuron", "value", "time"):
                np.testing.assert_array_equal(
                    getattr(events, kind), getattr(other.spikes[name], kind), err_msg=name
                )
        assert mine.potentials.keys() == {*neurons, "readout"} == other.potentials.keys()
        for name, values in mine.potentials.items():
            assert values.shape[:2] == (3, network.coding.steps)
            np.testing.assert_allclose(
                values, other.potentials[name], rtol=1e-5, atol=1e-5, err_msg=name
            )


@pytest.mark.genn
def test_pools_are_recorded_alike() -> None:
    for coding in ("few-spike", "rate"):
        network = grid_networks.convert("branches", **CODINGS[coding])
        x = grid_networks.samples(network, 2)
        mine, other = (
            recorded(network, x, backend=backend, batch_size=2)[0]
            for backend in ("onnxruntime", "single_threaded_cpu")
        )
        for name, events in mine.spikes.items():
            np.testing.assert_array_equal(events.time, other.spikes[name].time, err_msg=name)
            np.testing.assert_array_equal(events.neuron, other.spikes[name].neuron, err_msg=name)


def test_populations_are_chosen_by_any_of_their_names(digits: Example) -> None:
    network = onnx2genn.convert(digits.model, digits.x_train[:100], "rate", steps=4)
    first = network.populations[0]
    x = digits.x_test[:3]
    for name in (first.name, first.node.name, first.tensor):
        (part,) = recorded(network, x, record=[name], membrane=[name])
        assert part.spikes.keys() == part.potentials.keys() == {first.name}
        assert part.potentials[first.name].shape == (3, 4, *first.shape)
    with pytest.raises(DataError, match="no population 'none'"):
        recorded(network, x, record=["none"])


def test_what_has_no_potential_is_refused() -> None:
    network = grid_networks.convert("branches", **CODINGS["rate"])
    pool = next((item for item in network.populations if item.pools), None)
    if pool is not None:
        with pytest.raises(DataError, match="max pooling"):
            recorded(network, grid_networks.samples(network, 1), membrane=[pool.name])


@pytest.mark.parametrize(
    ("suffix", "backend"),
    [
        (".npz", "onnxruntime"),
        (".h5", "onnxruntime"),
        pytest.param(".HDF5", "single_threaded_cpu", marks=pytest.mark.genn),
    ],
)
def test_the_file(
    suffix: str,
    backend: str,
    digits: Example,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / f"spikes{suffix}"
    if suffix != ".npz":
        pytest.importorskip("h5py")
    words = [
        str(digits.model), "--calibrate", str(digits.train), "--evaluate", str(digits.test),
        "--limit", "30", "--backend", backend, "--batch-size", "7", "--record", str(path),
    ]  # fmt: skip
    assert main(words) == 0
    assert "of 30 samples" in capsys.readouterr().out
    network = onnx2genn.convert(digits.model, digits.x_train)
    (whole,) = recorded(network, digits.x_test[:30], membrane=["readout"], backend=backend)
    file, about = content(path)
    assert about["steps"] == 8
    np.testing.assert_array_equal(file["logits"], whole.logits)
    np.testing.assert_array_equal(file["readout.potential"], whole.potentials["readout"])
    for name, events in whole.spikes.items():
        assert about["populations"][name]["start"] == events.start
        for kind in ("sample", "step", "neuron", "value", "time"):
            np.testing.assert_array_equal(file[f"{name}.{kind}"], getattr(events, kind))
    with pytest.raises(SystemExit, match="2"):
        main([*words, "--save", str(path)])


def content(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read a recording as arrays, and what they are about."""
    if path.suffix == ".npz":
        with np.load(path) as file:
            return {name: file[name] for name in file.files}, json.loads(str(file["about"]))
    import h5py

    with h5py.File(path) as file:
        return {name: item[()] for name, item in file.items()}, json.loads(file["about"][()])


@pytest.mark.parametrize("name", ["a.npz", "a.h5"])
def test_a_recording_is_written_as_it_comes(name: str, digits: Example, tmp_path: Path) -> None:
    if name == "a.h5":
        pytest.importorskip("h5py")
    network = onnx2genn.convert(digits.model, digits.x_train[:100], steps=3)
    written: list[int] = []
    parts = network.simulate(digits.x_test[:9], backend="onnxruntime", batch_size=4)

    def coming() -> Iterator[Recording]:
        for index, part in enumerate(parts):
            assert len(written) == index
            yield part

    recordings.write(coming(), network, tmp_path / name, written.append)
    assert written == [4, 8, 9]


def test_without_h5py_the_message_says_what_to_install(
    digits: Example,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert main([str(digits.model), "--record", str(tmp_path / "a.h5")]) == 1
    printed = capsys.readouterr()
    assert "pip install 'onnx2genn[hdf5]'" in printed.err
    assert "Converted" not in printed.out
    assert list(tmp_path.iterdir()) == []
