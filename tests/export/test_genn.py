"""An exported script rebuilds and runs a network by itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Example
from helpers import grid_networks
from helpers.onnx_models import model, node

import onnx2genn
from onnx2genn.backends.genn.device.assembly import Target
from onnx2genn.backends.genn.device.portable import PARALLEL
from onnx2genn.backends.genn.planner import make_plan
from onnx2genn.backends.genn.simulator import GennSimulator
from onnx2genn.backends.registry import open_simulator
from onnx2genn.cli import main
from onnx2genn.errors import BackendError, DataError

CPU = "single_threaded_cpu"
# Runs as a user's own program would: nothing but the folder is on the path.
_DRIVER = """
import sys
sys.modules["onnx2genn"] = None
sys.path.insert(0, sys.argv[1])
import network
import numpy as np
samples = network.join(dict(np.load(sys.argv[1] + "/samples.npz")))
model = network.make_model()
for group in model.neuron_populations.values():
    group.spike_recording_enabled = True
model.build(sys.argv[1])
steps = network.READOUT_START + len(samples) * network.STEPS
model.load(num_recording_timesteps=steps)
found = {"logits/": network.run(model, samples)}
model.pull_recording_buffers_from_device()
for name, group in model.neuron_populations.items():
    found[f"times/{name}"], found[f"ids/{name}"] = group.spike_recording_data[0]
np.savez(sys.argv[1] + "/found.npz", **found)
"""


def run(*words: object) -> None:
    done = subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.genn
@pytest.mark.parametrize(
    ("name", "coding", "options"),
    [
        ("branches", "few-spike", {"steps": 6}),
        ("fusion", "two-phase", {"steps": 8}),
        ("streams", "few-spike", {"steps": 6}),
        ("gates", "few-spike", {"steps": 6}),
        ("mixing", "two-phase", {"steps": 8}),
        ("residual", "rate", {"steps": 8, "lookahead": 2}),
        ("signal", "signed", {"steps": 8, "readout": "spikes"}),
    ],
)
def test_equal_to_the_last_spike(
    name: str, coding: str, options: dict[str, Any], tmp_path: Path
) -> None:
    network = grid_networks.convert(name, coding, **options)
    if name == "branches":
        network = grid_networks.with_fewer_digits(network)
    samples = grid_networks.samples(network, 3)
    with open_simulator(network, CPU) as simulator:
        wanted = simulator.run(samples, record=True)
    assert wanted.codes is not None
    network.export_genn(tmp_path / "net", relays="auto")
    parts = np.split(
        samples.reshape(3, -1),
        np.cumsum([np.prod(shape) for shape in network.entries.values()])[:-1],
        axis=1,
    )
    arrays = {
        key: part.reshape(3, *shape)
        for (key, shape), part in zip(network.entries.items(), parts, strict=True)
    }
    np.savez(tmp_path / "net" / "samples.npz", **arrays)
    run("-c", _DRIVER, tmp_path / "net")
    found = np.load(tmp_path / "net" / "found.npz")
    np.testing.assert_allclose(found["logits/"], wanted.logits, rtol=1e-6)
    assert wanted.spikes is not None
    for item in make_plan(network).neurons[:-1]:
        if item.graded:
            continue
        times, ids = found[f"times/{item.name}"], found[f"ids/{item.name}"]
        window = (times.astype(int) - item.start) // network.coding.steps
        for index in range(3):
            counts = np.bincount(ids[window == index], minlength=item.size)[None]
            np.testing.assert_array_equal(
                item.in_onnx_order(counts)[0], wanted.spikes[item.name][index], item.name
            )


@pytest.mark.genn
def test_from_the_command_line(digits: Example, tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    words = (
        digits.model, "--calibrate", digits.train, "--export-genn", folder,
        "--evaluate", digits.test, "--limit", 20, "--backend", "onnxruntime",
        "--save", tmp_path / "digits.snn.onnx",
    )  # fmt: skip
    assert main([str(word) for word in words]) == 0
    np.save(tmp_path / "x.npy", digits.x_test[:20])
    run(folder / "network.py", tmp_path / "x.npy", "--logits", tmp_path / "logits.npy")
    network = onnx2genn.load(tmp_path / "digits.snn.onnx")
    # Sums in the same order, which decides what lies just between two levels.
    target = Target(backend=CPU, batch_size=1, connectivity="portable", limits=PARALLEL)
    simulator = GennSimulator(network, make_plan(network), target, batch_size=20)
    wanted = simulator.run(digits.x_test[:20]).logits
    simulator.close()
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), wanted, rtol=1e-5, atol=1e-5)


def test_refusals(tmp_path: Path) -> None:
    random = grid_networks.convert("signal", "rate", steps=4, input="poisson")
    with pytest.raises(BackendError, match="input is spikes"):
        random.export_genn(tmp_path / "net")
    network = grid_networks.convert("signal", "few-spike", steps=4)
    with pytest.raises(DataError, match="cannot be written"):
        network.export_genn(tmp_path / "missing" / "net")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        network.export_genn(tmp_path / "file")


def test_names_of_the_model_are_comments_or_quoted(tmp_path: Path) -> None:
    hostile = ["a\0b", "c\nimport os", 'd"""', "e\\", "f\u2028raise g", "h\rraise i"]
    nodes = [
        item
        for index, name in enumerate(hostile)
        for item in (
            node("MatMul", f"{index} w", f"m{index}"),
            node("Relu", f"m{index}", f"{index + 1}", name=name),
        )
    ]
    proto = model(
        [*nodes, node("MatMul", f"{len(hostile)} w", "y")],
        {"0": ["N", 3]},
        {"w": np.eye(3, dtype=np.float32)},
    )
    onnx2genn.convert(proto).export_genn(tmp_path)
    text = (tmp_path / "network.py").read_text()
    tree = ast.parse(text)
    assert not [item for item in ast.walk(tree) if isinstance(item, ast.Raise)]
    assert text.count("add_neurons(") == len(hostile) + 2  # the definition, and the readout
