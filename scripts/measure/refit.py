"""Measure what weights bring that are fitted again to rounded activations.

    python scripts/measure/refit.py --network imagenet --coding few-spike:4 --ridge 0.3 1
    python scripts/measure/refit.py --network cifar10_resnet --coding few-spike:3 --what gains

From the input on, each convolution gets the weights and biases that bring its output closest to the
ANN's, from inputs as the spiking network has them: rounded, and behind convolutions that are fitted
already. This is layer-wise reconstruction (Hubara et al. 2021, "Accurate post training quantization
with small calibration sets") of activations alone, which has a closed form. With X the inputs of a
group, Y its outputs in the ANN, both without their means, and W its weights of K rows::

    W' = argmin |X W' - Y|^2 + r tr(X^T X) / K |W' - W|^2
       = W + (X^T X + r tr(X^T X) / K)^-1 X^T (Y - X W)

and the bias sets the mean of the error to 0. Of ``gains``, only one factor of each channel is
fitted, of ``biases`` none. The head stays as it is: with fewer samples than features it would learn
these. The error on samples that were held out says what would be kept; evaluated ones choose
nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from common.networks import NETWORKS
from common.rows import row
from free_levels import against_ann, observed
from onnx2genn.calibrate.encode import encode
from onnx2genn.calibrate.held_out import HeldOut
from onnx2genn.coding import make
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.ir.graph import Node, to_onnx
from onnx2genn.ir.run import Runner
from onnx2genn.network import Network

AT_ONCE = 25  # samples of a node
ROWS, ENTRIES = 300_000, 2**26  # of a group's inputs, at most
TINY = 1e-12

Tensors = dict[str, np.ndarray]


def main() -> None:
    """Compare a network with what it is with other weights."""
    options = parse_arguments()
    seen, x, y = observed(options.network, options.limit)
    network = encode(seen, make(options.coding.coding, **options.coding.options))
    target = network.model.parts.readout.target
    ann = np.concatenate([found[target] for found in seen.model.activations([target], x)])
    trial = HeldOut(seen)

    def show(what: str, network: Network) -> None:
        found = against_ann(Forecast(network).logits(x), y, ann)
        held_out = trial.relative(trial.error(network))
        print(
            f"{options.network}, {options.coding}, {what}, {found}; on {len(trial.samples)} "
            f"held out {held_out:.4f}",
            flush=True,
        )

    show("weights of the ANN", network)
    samples = seen.samples[: options.samples]
    for what in options.what:
        for ridge in options.ridge if what == "weights" else [0.0]:
            fitted = refit(network, samples, what, ridge)
            named = f"{what}, ridge {ridge:g}" if what == "weights" else what
            show(f"{named}, {len(samples)} samples to fit", fitted)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=["imagenet", *NETWORKS], default="imagenet")
    parser.add_argument("--coding", type=row, default=row("few-spike:4"), metavar="CODING:STEPS")
    parser.add_argument("--limit", type=int, default=400, help="samples to evaluate")
    parser.add_argument("--samples", type=int, help="samples to fit to; by default all, or 256")
    parser.add_argument("--ridge", type=float, nargs="+", default=[0.1, 0.3, 1.0], help="r")
    parser.add_argument(
        "--what",
        nargs="+",
        choices=("weights", "gains", "biases"),
        default=["weights", "gains", "biases"],
    )
    return parser.parse_args()


def refit(network: Network, samples: np.ndarray, what: str, ridge: float) -> Network:
    """Fit the weights of all convolutions again, one after the other.

    Args:
        network: Network with thresholds.
        samples: Calibration samples [N, ...].
        what: What may change: the weights, their gains, or the biases alone.
        ridge: r, of the weights.
    """
    graph, entry = network.model.graph, network.input_name
    constants = dict(graph.constants)
    last = {name: node for node in graph.nodes for name in node.inputs}
    exact: Tensors = {entry: network.model.summed(samples)}
    rounded = dict(exact)
    nodes = []
    for node in graph.nodes:
        wanted = found = run(node, constants, exact)
        if not all(rounded.get(name) is exact.get(name) for name in node.inputs):
            found = run(node, constants, rounded)
            if node.op == "Conv" and node.inputs[1] in constants:
                # Weights that several nodes share are each node's own.
                own = (f"{node.output}/weight", f"{node.output}/bias")
                outputs = (found[node.output], wanted[node.output])
                values = fitted(node, constants, rounded[node.inputs[0]], outputs, what, ridge)
                constants.update(zip(own, values, strict=True))
                node = replace(node, inputs=(node.inputs[0], *own))
                found = run(node, constants, rounded)
        exact.update(wanted)
        rounded.update(rounding(network, node, found))
        nodes.append(node)
        for name in node.inputs:
            if name in exact and last[name].output == node.output:
                del exact[name], rounded[name]
    changed = replace(graph, nodes=nodes, constants=constants)
    return replace(network, model=replace(network.model, graph=changed))


def run(node: Node, constants: Mapping[str, np.ndarray], tensors: Tensors) -> Tensors:
    """Run one node, some samples at a time."""
    feeds = {name: tensors[name] for name in node.inputs if name in tensors}
    used = {name: constants[name] for name in node.inputs if name in constants}
    shapes = {name: array.shape[1:] for name, array in feeds.items()}
    runner = Runner(to_onnx([node], used, shapes, dict.fromkeys(node.outputs)))
    parts = list(runner.batches(feeds, AT_ONCE))
    return {name: np.concatenate([part[name] for part in parts]) for name in node.outputs}


def rounding(network: Network, node: Node, values: Tensors) -> Tensors:
    """Round what a population sends."""
    for item in network.populations:
        if item.tensor == node.output and not item.pools:
            offset, threshold = network.offsets[item.name], network.thresholds[item.name]
            above = network.coding.quantiser.quantise(values[item.tensor] - offset, threshold)
            return {item.tensor: (above + offset).astype(np.float32)}
    return values


def fitted(
    node: Node,
    constants: Mapping[str, np.ndarray],
    inputs: np.ndarray,
    outputs: tuple[np.ndarray, np.ndarray],
    what: str,
    ridge: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and biases that bring the output of a convolution closer to the ANN's.

    Args:
        node: The convolution.
        constants: Its weights as they are.
        inputs: What it hears, [N, ...].
        outputs: What it makes of that with these weights, and what it is in the ANN.
        what: As of :func:`refit`.
        ridge: As of :func:`refit`.
    """
    weight, *rest = (constants[name] for name in node.inputs[1:] if name)
    bias = rest[0] if rest else np.zeros(len(weight), np.float32)
    if what == "weights":
        change, shift = regressed(node, weight, inputs, outputs[1] - outputs[0], ridge)
        new, bias = weight + change, bias + shift
    else:
        known, wanted = (np.moveaxis(array, 1, 0).reshape(len(weight), -1) for array in outputs)
        means = [array.mean(axis=1, keepdims=True, dtype=np.float64) for array in (known, wanted)]
        gain = np.ones((len(weight), 1))
        if what == "gains":
            centred = known - means[0].astype(np.float32)
            covariance = (centred * (wanted - means[1].astype(np.float32))).sum(axis=1)
            gain[:, 0] = covariance / np.maximum((centred**2).sum(axis=1), TINY)
        new = weight * gain.reshape(-1, *[1] * (weight.ndim - 1))
        bias = (means[1] - gain * (means[0] - bias[:, None]))[:, 0]
    return new.astype(np.float32), bias.astype(np.float32)


def regressed(
    node: Node, weight: np.ndarray, inputs: np.ndarray, residual: np.ndarray, ridge: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the changes of weights and biases that explain a residual of the output best."""
    groups = node.attributes.get("group", 1)
    changes, shifts = [], []
    for part, wanted in zip(
        np.split(inputs, groups, axis=1), np.split(residual, groups, axis=1), strict=True
    ):
        samples, x = patches(node, weight, part)
        y = np.moveaxis(wanted[samples], 1, -1).reshape(len(x), -1)
        means = [array.mean(axis=0, dtype=np.float64) for array in (x, y)]
        x = x - means[0].astype(np.float32)
        gram = (x.T @ x).astype(np.float64)
        gram += (ridge * np.trace(gram) / len(gram) + TINY) * np.eye(len(gram))
        change = np.linalg.solve(gram, (x.T @ y).astype(np.float64))
        changes.append(change.T)
        shifts.append(means[1] - means[0] @ change)
    return np.concatenate(changes).reshape(weight.shape), np.concatenate(shifts)


def patches(node: Node, weight: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut the input of one group into what its weights see.

    Returns:
        Numbers of the samples that were drawn, and their inputs, [places, weights of a channel].
    """
    kernel, entries = weight.shape[2:], int(np.prod(weight.shape[1:]))
    axes = range(len(kernel))
    strides = node.attributes.get("strides", [1 for _ in axes])
    dilations = node.attributes.get("dilations", [1 for _ in axes])
    pads = node.attributes.get("pads", [0 for _ in kernel * 2])
    places = max(1, int(np.prod(values.shape[2:])) // int(np.prod(strides)))
    most = max(1, min(ROWS, ENTRIES // entries) // places)
    chosen = np.sort(np.random.default_rng(0).permutation(len(values))[:most])
    padded = np.pad(
        values[chosen], [(0, 0), (0, 0), *((pads[axis], pads[axis + len(kernel)]) for axis in axes)]
    )
    spans = tuple(1 + dilations[axis] * (kernel[axis] - 1) for axis in axes)
    places_of = tuple(2 + axis for axis in axes)
    seen = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=places_of)
    every = [slice(None, None, step) for step in (1, 1, *strides, *dilations)]
    seen = np.moveaxis(seen[tuple(every)], 1, 1 + len(kernel))
    return chosen, seen.reshape(-1, entries)


if __name__ == "__main__":
    main()
