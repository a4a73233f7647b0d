"""Measure where the time of GeNN's CPU backend goes.

    python scripts/measure/time_genn.py [mnist] [cifar10_vgg] [efficientnet_lite0] [--samples 64]

Without relays and with those that make the network cheapest: for few-spike coding with 8 steps on
test images, in CPU time, which other work on the machine disturbs least, and the best of three
runs, samples per second, and in nanoseconds for each synaptic operation, and for each neuron and
step, what projections and neurons take; what is left is the host's. Beside them what onnxruntime
takes on one thread for the ANN, image by image, by synapse of the projections, and what going
through the state of a neuron in memory takes at least.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parents[1]))

import imagenet
import onnx2genn
from common import SHARED
from common.networks import NETWORKS, read_images
from onnx2genn.backends.base import Simulator
from onnx2genn.backends.genn.device.model import LoadedModel
from onnx2genn.backends.genn.installation import CPU
from onnx2genn.backends.genn.lowering.convolution import Convolution, sparse_matrix
from onnx2genn.backends.genn.lowering.projection import Dense, Linear
from onnx2genn.backends.genn.plan import Plan
from onnx2genn.backends.genn.planner import make_plan
from onnx2genn.backends.registry import open_simulator
from onnx2genn.ir.run import session
from onnx2genn.spiking_network import SpikingNetwork
from onnx2genn.streams import AUTO, NONE
from onnx2genn.streams.layout import make_streams

LARGE = imagenet.MODEL.stem
NAMES = ("mnist", "cifar10_vgg", LARGE)
STEPS, CALIBRATION, REPEATS = 8, 100, 3

Images = tuple[Path, np.ndarray, np.ndarray]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NAMES, metavar="NETWORK")
    parser.add_argument("--samples", type=int, default=64)
    options = parser.parse_args()
    print(f"state of a neuron, in memory: {state_passed():.2f} ns")
    for name in options.networks:
        path, calibration, samples = images(name, options.samples)
        network = onnx2genn.convert(path, calibration, "few-spike", steps=STEPS)
        for relays in (NONE, AUTO):
            found = measure(network, samples, alone(path, samples), relays)
            print(f"{name}, relays={relays}: {found}", flush=True)


def images(name: str, count: int) -> Images:
    """Return the network, calibration images, and test images."""
    if name == LARGE:
        x, _ = imagenet.read_images(CALIBRATION + count)
        return imagenet.MODEL, x[:CALIBRATION], x[CALIBRATION:]
    network = NETWORKS[name]
    (train, _), (test, _) = read_images(network.dataset, SHARED / "data")
    chosen = train[:CALIBRATION], test[:count]
    first, second = (in_layout(network.path, images) for images in chosen)
    return network.path, first, second


def in_layout(path: Path, images: np.ndarray) -> np.ndarray:
    """Bring images, channels last, into the layout of a network's input."""
    (entry,) = session(onnx.load(path)).get_inputs()
    same = tuple(entry.shape[1:]) == images.shape[1:]
    return images if same else np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def measure(network: SpikingNetwork, samples: np.ndarray, ann: float, relays: str) -> str:
    """Simulate samples, and say where the time went."""
    count = len(samples)
    spent = {"projections": 0.0, "neurons": 0.0}
    with open_simulator(network, CPU, relays=relays) as simulator:
        activity = simulator.run(samples[:4], record=True)
        model: LoadedModel = simulator._model  # type: ignore[attr-defined]
        timed(model._model, "custom_update", spent, "projections")
        timed(model._model, "step_time", spent, "neurons")
        runs = [run(simulator, samples, spent) for _ in range(REPEATS)]
        whole, spent = min(runs, key=itemgetter(0))
        steps = model.timestep
    start = time.process_time()
    make_streams(network.model.parts, network.coding, relays)
    chosen = time.process_time()
    plan = make_plan(network, relays)
    lowered = time.process_time()
    assert activity.spikes is not None
    # Relays send in each step, or once in a window.
    relayed = network.streams_with(relays).relays.values()
    rates = {item.name: STEPS if item.at_once else 1.0 for item in relayed}
    rates |= {name: spikes.mean() for name, spikes in activity.spikes.items()}
    found = [(rates[source], number) for source, number in projections(plan)]
    operations = count * sum(rate * number for rate, number in found)
    neurons = sum(item.size for item in plan.neurons)
    host = whole - sum(spent.values())
    return (
        f"{count / whole:.1f} samples/s; projections {spent['projections'] / whole:.0%} "
        f"({1e9 * spent['projections'] / operations:.3f} ns an operation, "
        f"{operations / count / 1e6:.1f} M a sample), neurons {spent['neurons'] / whole:.0%} "
        f"({1e9 * spent['neurons'] / steps / neurons:.2f} ns each of {neurons:,}), "
        f"host {host / whole:.0%} ({1e3 * host / count:.2f} ms a sample); "
        f"{sum(number for _, number in found) / 1e6:.1f} M synapses, as synapse groups "
        f"{groups_bytes(plan) / 2**20:,.0f} MiB; relays chosen in {chosen - start:.1f} s, "
        f"lowered in {lowered - chosen:.1f} s; "
        f"{steps} steps, of which {steps - count * STEPS} to fill and to empty; "
        f"the ANN {1 / ann:.1f} samples/s, "
        f"{1e9 * ann / sum(number for _, number in found):.3f} ns a synapse"
    )


def run(
    simulator: Simulator, samples: np.ndarray, spent: dict[str, float]
) -> tuple[float, dict[str, float]]:
    """Simulate samples; return the seconds of it, and what ``spent`` has of them."""
    spent.update(dict.fromkeys(spent, 0.0))
    start = time.process_time()
    simulator.run(samples)
    return time.process_time() - start, dict(spent)


def alone(path: Path, samples: np.ndarray) -> float:
    """Return the seconds that the ANN takes for a sample, one at a time on one thread."""
    runner = session(onnx.load(path), threads=1)
    (entry,) = runner.get_inputs()
    return best(lambda: [runner.run(None, {entry.name: x[None]}) for x in samples[:8]], 3) / 8e9


def timed(owner: Any, name: str, spent: dict[str, float], key: str) -> None:
    """Let a method add what it takes to a sum."""
    method: Callable[..., None] = getattr(owner, name)

    def around(*arguments: Any) -> None:
        start = time.process_time()
        method(*arguments)
        spent[key] += time.process_time() - start

    setattr(owner, name, around)


def projections(plan: Plan) -> list[tuple[str, float]]:
    """Return the source of each projection and its synapses."""
    return [
        (projection.source, synapses(projection.linear))
        for item in plan.neurons
        for projection in item.projections
    ]


def synapses(linear: Linear) -> float:
    """Count the weights that arrive somewhere."""
    if not isinstance(linear, Convolution):
        return float(linear.matrix.size)
    channels = linear.kernel.shape[0] * linear.kernel.shape[1] // linear.source[0]
    one = Convolution(
        kernel=np.ones((1, 1, *linear.kernel.shape[2:])),
        strides=linear.strides,
        dilations=linear.dilations,
        pads=linear.pads,
        group=1,
        source=(1, *linear.source[1:]),
        target=(1, *linear.target[1:]),
    )
    return float(sparse_matrix(one.in_planes()).nnz * channels * linear.source[0])


def groups_bytes(plan: Plan) -> float:
    """Return what the weights take as synapse groups: kernels, matrices, or lists with targets."""
    found = 0.0
    for item in plan.neurons:
        for projection in item.projections:
            linear, listed = projection.linear, plan.by_name[projection.source].hidden
            if isinstance(linear, Dense):
                found += 4 * linear.matrix.size
            elif isinstance(linear, Convolution) and not listed:
                found += 4 * linear.kernel.size
            else:
                found += 8 * synapses(linear)
    return found


def state_passed(neurons: int = 2**23) -> float:
    """Return the nanoseconds to read and write four numbers of a neuron, and to read a fifth."""
    state, constant = np.zeros((4, neurons), np.float32), np.zeros(neurons, np.float32)
    return best(lambda: [np.add(row, constant, out=row) for row in state[:4]], 5) / neurons


def best(call: Callable[[], object], repeats: int) -> float:
    """Return the nanoseconds of the fastest of some calls."""
    found = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return 1e9 * min(found)


if __name__ == "__main__":
    main()
