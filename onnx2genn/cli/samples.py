"""What a network is run on."""

from __future__ import annotations

import argparse

import numpy as np

from onnx2genn.cli.output import Output, progress
from onnx2genn.data import Samples, load_events, load_samples
from onnx2genn.network import Network

RANDOM_SAMPLES = 16


def samples_of_run(given: argparse.Namespace, network: Network, output: Output) -> Samples:
    """Load the data given, or make a few random inputs."""
    if given.evaluate is not None:
        if network.coding.events:
            return load_events(given.evaluate, network.model, network.coding.steps, given.limit)
        model = network.model
        with progress("Reading", quiet=given.quiet) as report:
            return load_samples(
                given.evaluate,
                network.entries,
                given.limit,
                model.front,
                resize=model.preprocessing.resize,
                progress=report,
            )
    output.say(f"No --evaluate data: running {RANDOM_SAMPLES} random inputs.")
    return _random(network, given.seed or 0)


def _random(network: Network, seed: int) -> Samples:
    random = np.random.default_rng(seed)
    if not network.coding.events:
        shape = (RANDOM_SAMPLES, *network.input_shape)
        return Samples(x=random.random(shape, dtype=np.float32))
    steps = network.coding.steps
    shape = (RANDOM_SAMPLES, steps, *network.input_shape)
    return Samples(x=(random.random(shape) < 1 / steps).astype(np.uint8))
