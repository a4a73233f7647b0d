"""Measure how far the levels of a coding are from the best ones that a population could have.

    python scripts/measure/free_levels.py --network imagenet --steps 4
    python scripts/measure/free_levels.py --network cifar10_resnet --steps 3 --limit 2000

It rounds the activations of the ANN to 2^T levels for each channel: those of ``few-spike``, and
levels free of any rule, with the least squared error on the calibration samples (Lloyd 1982, "Least
squares quantization in PCM"). Values that a neuron may send, T instead of powers of two (Stöckl and
Maass 2021), make 2^T sums, which are at most as good. They are measured, too, fitted to each
population, with a scale for each channel, and to each channel; each activation goes to the nearest
sum, as no rule of a neuron can do better.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parents[1]))

import accuracy as classifiers
import imagenet
from common import SHARED
from common.networks import NETWORKS
from onnx2genn.calibrate.encode import encode
from onnx2genn.calibrate.observe import Observation, observe
from onnx2genn.calibrate.statistics import Statistics
from onnx2genn.coding import make
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.graph import live, to_onnx
from onnx2genn.ir.run import Runner, samples_at_once
from onnx2genn.network import Network

ITERATIONS = 40
BINS, ENTRIES = 512, 1024  # of a channel's range: to find levels, and to look them up
# A little of the range that evidence chose for a channel counts as seen.
SHARE, LEAST = 0.01, 30
LOGITS = "free/logits"

Levels = Mapping[str, np.ndarray]


def main() -> None:
    """Compare both sets of levels."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    choices = ["imagenet", *NETWORKS]
    parser.add_argument("--network", choices=choices, default="imagenet")
    parser.add_argument("--steps", type=int, default=4, help="T")
    parser.add_argument("--limit", type=int, default=400, help="samples to evaluate")
    options = parser.parse_args()
    seen, x, y = observed(options.network, options.limit)
    network = encode(seen, make("few-spike", steps=options.steps))
    target = network.model.parts.readout.target
    ann = np.concatenate([found[target] for found in seen.model.activations([target], x)])
    for what, logits in (
        ("few-spike", Forecast(network).logits(x)),
        *(
            (kind, _free(network, _levels(network, seen, kind), x))
            for kind in ("free levels", "values of a population", "values of a channel")
        ),
    ):
        found = against_ann(logits, y, ann)
        print(f"{options.network}, T={options.steps}, {what}, {found}", flush=True)


def against_ann(logits: np.ndarray, labels: np.ndarray, ann: np.ndarray) -> str:
    """Say how close logits are to the ANN's: loss in points, agreement, error over their spread."""
    error = np.sqrt(np.mean((logits - ann) ** 2)) / ann.std()
    loss = imagenet.accuracy(ann, labels) - imagenet.accuracy(logits, labels)
    agreement = imagenet.accuracy(logits, ann.argmax(axis=1))
    return (
        f"{len(logits)} samples: loss {100 * loss:.2f}, agreement {agreement:.2%}, logits' error "
        f"{error:.4f}"
    )


def observed(name: str, limit: int) -> tuple[Observation, np.ndarray, np.ndarray]:
    """Observe a network; return it with samples to evaluate and their labels."""
    if name == "imagenet":
        x, y = imagenet.read_images(imagenet.CALIBRATION + limit)
        seen = observe(read(imagenet.MODEL), x[: imagenet.CALIBRATION])
        return seen, x[imagenet.CALIBRATION :], y[imagenet.CALIBRATION :]
    network = NETWORKS[name]
    train, (x, y) = classifiers.read(network, SHARED / "data", limit)
    chosen = np.random.default_rng(0).choice(len(train), classifiers.CALIBRATION, replace=False)
    return observe(read(network.path), train[chosen]), x.astype(np.float32), y


def _levels(network: Network, seen: Observation, kind: str) -> dict[str, np.ndarray]:
    """Find levels [channels, 2^T] of populations of plain activations, by name."""
    found = {}
    steps, count = network.coding.steps, network.coding.quantiser.levels + 1
    for item in network.populations:
        if item.pools or item.is_function or item.signed:
            continue
        statistics = seen.populations[item.name]
        shape = (statistics.channels,)
        low, high = (
            np.broadcast_to(array[item.name].ravel(), shape).astype(float)
            for array in (network.offsets, network.thresholds)
        )
        values, counts = _histogram(statistics, low + high, item.bound)
        if kind == "free levels":
            start = low[:, None] + high[:, None] * np.arange(count) / count
            found[item.name] = lloyd(values, counts, start)
        elif kind == "values of a channel":
            found[item.name] = sums_of_values(values, counts, low, high, steps)
        else:
            scaled = (values - low[:, None]) / high[:, None]
            weighted = counts * np.square(high)[:, None]
            order = np.argsort(scaled, axis=None)
            scaled, weighted = (array.ravel()[order][None] for array in (scaled, weighted))
            (levels,) = sums_of_values(scaled, weighted, np.zeros(1), np.ones(1), steps)
            found[item.name] = low[:, None] + high[:, None] * levels
    return found


def _histogram(
    statistics: Statistics, high: np.ndarray, bound: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return values, 0 first, and how often they occurred, both [channels, 1 + BINS]."""
    values = np.minimum(statistics.centres, np.inf if bound is None else bound)
    width = np.maximum(np.maximum(statistics.top, high), 1e-9)[:, None] / BINS
    index = np.minimum((values / width).astype(int), BINS - 1)
    pairs = zip(index, statistics.histogram, strict=True)
    counts = np.stack([np.bincount(at, seen, BINS) for at, seen in pairs])
    centres = (np.arange(BINS) + 0.5) * width
    within = centres < high[:, None]
    positive = counts.sum(axis=1, keepdims=True)
    zeros = statistics.count - positive
    extra = (SHARE * positive + LEAST) / np.maximum(within.sum(axis=1, keepdims=True), 1)
    counts += within * extra
    return np.hstack([0 * zeros, centres]), np.hstack([zeros, counts])


def lloyd(values: np.ndarray, counts: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Move levels to the mean of what is nearest to them, until they have the least squared error.

    Args:
        values: Ascending, [channels, n].
        counts: How often they occur, [channels, n].
        levels: To start from, ascending, [channels, levels].
    """
    nearest = _Nearest(values, counts)
    for _ in range(ITERATIONS):
        weight, moment = nearest(levels)
        levels = np.sort(np.where(weight > 0, moment / np.maximum(weight, 1e-9), levels), axis=1)
    return levels


def sums_of_values(
    values: np.ndarray, counts: np.ndarray, low: np.ndarray, high: np.ndarray, steps: int
) -> np.ndarray:
    """Fit T values, and the level without any, whose sums have the least squared error.

    As :func:`lloyd`, but with the sums in place of free levels: each value of the histogram goes to
    the nearest of them, and then least squares give the values.

    Args:
        values: Ascending, [channels, n].
        counts: How often they occur, [channels, n].
        low: Lower end of the levels of ``few-spike``, to start from, [channels].
        high: Its threshold, [channels].
        steps: T.

    Returns:
        The sums, ascending, [channels, 2^T].
    """
    bits = np.arange(2**steps)[:, None] >> np.arange(steps)[::-1] & 1
    terms = np.hstack([bits, np.ones((2**steps, 1))])
    found = np.hstack([high[:, None] / 2.0 ** np.arange(1, steps + 1), low[:, None]])
    nearest = _Nearest(values, counts)
    for _ in range(ITERATIONS):
        sums = found @ terms.T
        order = np.argsort(sums, axis=1)
        weight, moment = nearest(np.take_along_axis(sums, order, axis=1))
        ordered = terms[order]
        squares = np.einsum("cl,cli,clj->cij", weight, ordered, ordered)
        # Values that nothing is near to stay.
        ridge = 1e-6 * np.maximum(weight.sum(axis=1), 1e-9)[:, None, None] * np.eye(steps + 1)
        wanted = np.einsum("cl,cli->ci", moment, ordered) + (ridge @ found[..., None])[..., 0]
        found = np.linalg.solve(squares + ridge, wanted[..., None])[..., 0]
    return np.sort(found @ terms.T, axis=1)


class _Nearest:
    """Sums up what of histograms [channels, n] is nearest to each of some levels."""

    def __init__(self, values: np.ndarray, counts: np.ndarray) -> None:
        self._values, self._rows = values, np.arange(len(values))[:, None]
        self._total = np.pad(np.cumsum(counts, axis=1), ((0, 0), (1, 0)))
        self._moment = np.pad(np.cumsum(counts * values, axis=1), ((0, 0), (1, 0)))

    def __call__(self, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return weight and weighted sum for ascending levels, [channels, levels] each."""
        middles = (levels[:, 1:] + levels[:, :-1]) / 2
        pairs = zip(self._values, middles, strict=True)
        edges = np.stack([np.searchsorted(known, wanted) for known, wanted in pairs])
        edges = np.pad(edges, ((0, 0), (1, 0)))
        edges = np.pad(edges, ((0, 0), (0, 1)), constant_values=self._values.shape[1])
        weight, moment = (
            np.diff(kept[self._rows, edges], axis=1) for kept in (self._total, self._moment)
        )
        return weight, moment


def _free(network: Network, levels: Levels, x: np.ndarray) -> np.ndarray:
    """Compute the logits of the ANN with activations rounded to free levels."""
    graph = network.model.graph
    by_tensor = {item.tensor: item for item in network.populations if item.name in levels}
    builder = Builder("free", taken={*graph.constants, *graph.shapes})
    for node in graph.nodes:
        item = by_tensor.get(node.output)
        if item is None:
            builder.add(node)
            continue
        exact = f"{node.output}/activation"
        builder.add(node.renamed({node.output: exact}))
        _look_up(builder, exact, levels[item.name], len(item.shape), node.output)
    builder.emit("Identity", network.model.parts.readout.target, output=LOGITS)
    nodes, constants = live(builder.nodes, {**graph.constants, **builder.constants}, [LOGITS])
    runner = Runner(to_onnx(nodes, constants, graph.inputs, {LOGITS: None}))
    size = samples_at_once(network.neurons, 256)
    samples = network.model.summed(network.prepare(x))
    parts = runner.batches({network.input_name: samples}, size)
    return np.concatenate([part[LOGITS] for part in parts])


def _look_up(builder: Builder, exact: str, levels: np.ndarray, axes: int, output: str) -> None:
    """Write the nearest level of each value, from a table with entries for each channel."""
    channels, shape = len(levels), (1, -1, *[1] * (axes - 1))
    top = np.maximum(levels[:, -1:] * 1.02, 1e-6)
    entries = (np.arange(ENTRIES) + 0.5) / ENTRIES * top
    middles = (levels[:, 1:] + levels[:, :-1]) / 2
    pairs = zip(levels, middles, entries, strict=True)
    table = np.stack([own[np.searchsorted(edges, at)] for own, edges, at in pairs])
    at = builder.emit("Mul", exact, (ENTRIES / top).astype(np.float32).reshape(shape))
    at = builder.emit("Clip", at, np.float32(0), np.float32(ENTRIES - 1))
    at = builder.emit("Floor", at)
    first = (ENTRIES * np.arange(channels)).astype(np.float32).reshape(shape)
    at = builder.emit("Add", at, first)
    at = builder.emit("Cast", at, to=onnx.TensorProto.INT32)
    builder.emit("Gather", table.ravel().astype(np.float32), at, output=output, name="")


if __name__ == "__main__":
    main()
