"""What the embedded engine holds while it runs, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HELPERS = Path(__file__).parents[2]
PROGRAM = """
import resource, sys
import psutil
import numpy as np
import onnx2genn
from helpers.onnx_models import model, node
from onnx2genn.backends.registry import open_simulator
layers = int(sys.argv[1])
weight = np.random.default_rng(0).normal(size=(8, 8, 3, 3)).astype(np.float32) / 8
nodes = []
for index in range(layers):
    nodes.append(node("Conv", f"t{index} w", f"c{index}", pads=[1] * 4))
    nodes.append(node("Relu", f"c{index}", f"t{index + 1}"))
nodes.append(node("GlobalAveragePool", f"t{layers}", "y"))
proto = model(nodes, {"t0": ["N", 8, 64, 64]}, {"w": weight})
network = onnx2genn.convert(proto, None, "rate", steps=64)
x = np.ones((2, 8, 64, 64), np.float32)
with open_simulator(network, "onnxruntime", threads=1) as simulator:
    before = psutil.Process().memory_info().rss
    simulator.run(x)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before // 1024) // 1024)
"""


def grown(layers: int) -> int:
    """Return by how many MiB a process grows while it simulates so many layers."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(layers)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HELPERS), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is counted in KiB there")
def test_layers_use_the_same_memory() -> None:
    shallow, deep = grown(3), grown(15)
    a_layer = 64 * 8 * 64 * 64 * 4 / 2**20
    assert shallow > a_layer
    assert deep - shallow < 8 * a_layer
