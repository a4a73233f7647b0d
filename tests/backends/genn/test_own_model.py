"""A network within a PyGeNN model that somebody else builds, loads and steps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Example
from helpers import grid_networks

from onnx2genn.backends.genn.lowering.projection import neuron_order
from onnx2genn.backends.genn.own_model import AddedNetwork
from onnx2genn.backends.poisson import fire, generator
from onnx2genn.backends.registry import open_simulator
from onnx2genn.errors import BackendError, DataError

pytestmark = pytest.mark.genn

DOCUMENT = Path(__file__).parents[3] / "docs" / "own_model.md"
CPU = "single_threaded_cpu"
CODINGS: dict[str, dict[str, Any]] = {
    "few-spike": {"coding": "few-spike", "steps": 6},
    "two-phase": {"coding": "two-phase", "steps": 8},
    "rate": {"coding": "rate", "steps": 8, "lookahead": 2},
    "signed": {"coding": "signed", "steps": 8},
    "sengupta": {"coding": "rate", "steps": 16, "lookahead": 0, "readout": "spikes"},
}


def own_model(dt: float = 1.0) -> Any:
    from pygenn import GeNNModel

    model = GeNNModel("float", "own", backend=CPU, optimize_code=True)
    model.dt = dt
    return model


@contextmanager
def built(model: Any, folder: Path, **options: Any) -> Iterator[None]:
    model.build(str(folder))
    model.load(**options)
    yield
    model.unload()


def answers(added: AddedNetwork, model: Any, samples: np.ndarray) -> np.ndarray:
    """Show samples in successive windows, without waiting for an answer, and collect these."""
    due, found = [], []
    shown = 0
    while len(found) < len(samples):
        if shown < len(samples) and model.timestep % added.steps == 0:
            due.append(added.input.set(samples[shown : shown + 1]))
            shown += 1
        added.input.update()
        model.step_time()
        if model.timestep in due:
            found.append(added.readout.logits()[0])
    return np.stack(found)


@pytest.mark.parametrize(
    ("name", "dt", "coding"),
    [
        *(("residual", 0.1, coding) for coding in CODINGS),
        ("branches", 1.0, "few-spike"),
        ("gates", 1.0, "two-phase"),
        ("mixing", 1.0, "few-spike"),
        ("streams", 0.1, "few-spike"),
    ],
)
def test_equal_to_the_last_spike(name: str, dt: float, coding: str, tmp_path: Path) -> None:
    """Pipelined, recorded by GeNN's own means, a second time without any reset."""
    network = grid_networks.convert(name, **CODINGS[coding])
    samples = grid_networks.samples(network, 4)
    with open_simulator(network, CPU) as simulator:
        wanted = simulator.run(samples, record=True)
    model = own_model(dt)
    added = network.add_to(model, prefix="cnn_")
    for item in added.populations.values():
        item.group.spike_recording_enabled = True
    with built(model, tmp_path, num_recording_timesteps=200):
        logits = answers(added, model, samples)
        np.testing.assert_allclose(logits, wanted.logits, rtol=1e-6)
        assert wanted.spikes is not None and wanted.codes is not None
        while model.timestep < 200:
            added.input.update()
            model.step_time()
        model.pull_recording_buffers_from_device()
        for item in network.populations:
            handle = added.populations[item.node.name]
            times, ids = handle.group.spike_recording_data[0]
            steps = np.rint(times / dt) - handle.neurons.start
            of_first = ids[(steps >= 0) & (steps < network.coding.steps)]
            counts = np.bincount(of_first, minlength=handle.neurons.size)[None]
            if not handle.neurons.graded:
                found = handle.neurons.in_onnx_order(counts)[0]
                np.testing.assert_array_equal(found, wanted.spikes[item.name][0], item.name)
        again = answers(added, model, samples[::-1])
        np.testing.assert_array_equal(again, logits[::-1])


def test_the_example_of_the_documentation(
    digits: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The readout drives neurons of another model."""
    for file in (digits.model, digits.train, digits.test):
        (tmp_path / Path(file).name).symlink_to(file)
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    found: dict[str, Any] = {}
    exec(compile(code, str(DOCUMENT), "exec"), found)
    # Sums in the same order, which decides what lies just between two levels.
    with open_simulator(found["network"], CPU, connectivity="portable") as simulator:
        wanted = simulator.run(found["images"]).logits
    np.testing.assert_allclose(found["logits"], wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["decisions"], wanted.argmax(axis=1))
    found["model"].unload()


@pytest.mark.parametrize("kind", ["poisson", "events"])
def test_spikes_of_a_population_are_the_input(kind: str, tmp_path: Path) -> None:
    from pygenn import create_neuron_model

    network = grid_networks.convert("residual", "rate", steps=16, input=kind)
    network = replace(network, input_scales={"x": 2.0})
    samples = grid_networks.samples(network, 2)
    samples = np.minimum(samples, 1) if kind == "events" else np.abs(samples)
    model = own_model()
    source = create_neuron_model(
        "source", vars=[("now", "scalar")], threshold_condition_code="now > 0.5"
    )
    shape = network.input_shape
    group = model.add_neuron_population("pixels", int(np.prod(shape)), source, {}, {"now": 0.0})
    added = network.add_to(model, input=group)
    trains = [
        item if kind == "events" else fire(generator(0, index), item / network.input_scale, 16)
        for index, item in enumerate(samples)
    ]
    logits = []
    with built(model, tmp_path):
        for step in range(added.readout.neurons.start + 32):
            spikes = trains[step // 16][step % 16] if step < 32 else np.zeros(shape)
            group.vars["now"].view[:] = spikes.ravel()[neuron_order(shape)]
            model.step_time()
            if step + 1 - added.readout.neurons.start in (16, 32):
                logits.append(added.readout.logits()[0])
        with pytest.raises(BackendError, match="spikes of your own"):
            added.input.set(samples[:1])
    np.testing.assert_allclose(logits, network.predict(samples, backend=CPU), rtol=1e-5)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    model = own_model()
    network = grid_networks.convert("signal", "few-spike", steps=6)
    random = grid_networks.convert("signal", "rate", steps=4, input="poisson")
    with pytest.raises(BackendError, match="prefix='cnn/'"):
        network.add_to(model, prefix="cnn/")
    with pytest.raises(BackendError, match="takes spikes"):
        random.add_to(model)
    added = network.add_to(model)
    pool = next(iter(added.populations.values())).group
    with pytest.raises(BackendError, match="choose another prefix"):
        network.add_to(model)
    with pytest.raises(BackendError, match="takes currents"):
        network.add_to(model, prefix="b_", input=pool)
    with pytest.raises(BackendError, match=r"has \d+ neurons"):
        random.add_to(model, prefix="b_", input=added.readout.group)
    with pytest.raises(DataError, match="2 samples for a model with batch_size 1"):
        added.input.set(grid_networks.samples(network, 2))
