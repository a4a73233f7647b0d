"""Measure what the host does for GeNN, with a device that does nothing.

    python scripts/measure/host_genn.py [--model FILE.onnx] [--batch-size 128]

Prints samples per second, and per second of CPU time, of the loop over steps: input currents, their
order, copies to the device and reading answers. On a GPU this bounds what a network can reach, and
nothing is compiled here.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import onnx2genn
from common import SHARED
from onnx2genn.backends.genn import simulator
from onnx2genn.backends.genn.device.assembly import Target
from onnx2genn.backends.genn.plan import Plan
from onnx2genn.backends.genn.planner import make_plan


class Nothing:
    """Takes the place of a loaded model: its variables are there, and its steps do nothing."""

    def __init__(self, plan: Plan, target: Target) -> None:
        self.timestep = 0
        self._groups = {
            item.name: SimpleNamespace(
                vars={
                    name: _Variable(target.batch_size, item.size)
                    for name in (*item.biases, *item.results)
                }
            )
            for item in plan.neurons
        }

    def group(self, name: str) -> Any:
        """Return the variables of a group."""
        return self._groups[name]

    def step(self) -> None:
        """Do nothing."""
        self.timestep += 1

    def close(self) -> None:
        """Do nothing."""


class _Variable:
    def __init__(self, batch: int, size: int) -> None:
        self.view = np.zeros((batch, size), np.float32)
        self._device = self.view.copy()

    def push_to_device(self) -> None:
        """Copy, as for a GPU whose memory is as fast as this machine's."""
        np.copyto(self._device, self.view)

    def pull_from_device(self) -> None:
        """Likewise."""
        np.copyto(self.view, self._device)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=SHARED / "models" / "cifar10_vgg.onnx")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--groups", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    network = onnx2genn.convert(options.model, coding="few-spike", steps=8)
    target = Target(backend="none", batch_size=options.batch_size, connectivity="portable")
    setattr(simulator, "LoadedModel", Nothing)  # noqa: B010 - a device that does nothing
    count = options.batch_size * options.groups
    engine = simulator.GennSimulator(network, make_plan(network), target, batch_size=count)
    samples = np.random.default_rng(0).random((count, *network.input_shape), dtype=np.float32)
    best = {"second": 0.0, "second of CPU time": 0.0}
    for _ in range(options.repeats):
        start = time.perf_counter(), time.process_time()
        engine.run(samples)
        spent = time.perf_counter() - start[0], time.process_time() - start[1]
        for name, seconds in zip(best, spent, strict=True):
            best[name] = max(best[name], count / seconds)
    found = ", ".join(f"{speed:,.0f} samples per {name}" for name, speed in best.items())
    print(f"{options.model.name}, batches of {options.batch_size}: {found}")


if __name__ == "__main__":
    main()
