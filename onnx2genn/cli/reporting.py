"""The page of a run, and the figures and numbers beside it."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from onnx2genn import files
from onnx2genn.backends.registry import EMBEDDED
from onnx2genn.cli.config import written
from onnx2genn.cli.samples import RANDOM_SAMPLES
from onnx2genn.data import Samples
from onnx2genn.errors import DataError
from onnx2genn.evaluate.result import Evaluation
from onnx2genn.report import html
from onnx2genn.report.comparison import Run
from onnx2genn.report.raster import Shown
from onnx2genn.spiking_network import SpikingNetwork


def require_shown(given: argparse.Namespace, network: SpikingNetwork, samples: Samples) -> None:
    """Find out before the work that there are the sample and the neurons that are to be shown.

    Raises:
        DataError: There are not.
    """
    count = len(samples.x)
    if given.raster is not None and given.raster >= count:
        raise DataError(f"--raster {given.raster}: there are {count:,} samples, from 0 on.")
    known = {item.node.name: int(np.prod(item.shape)) for item in network.populations}
    for name, places in given.membrane:
        if name not in known:
            raise DataError(f"--membrane: there is no population {name!r}, but {', '.join(known)}.")
        if max(places) >= known[name]:
            raise DataError(f"--membrane: {name} has {known[name]:,} neurons, from 0 on.")


def write_report(
    given: argparse.Namespace,
    words: Sequence[str],
    network: SpikingNetwork,
    samples: Samples,
    evaluation: Evaluation,
) -> str:
    """Write the page, and what goes beside it.

    Args:
        given: The options.
        words: The words that they were read from.
        network: What was evaluated.
        samples: On what.
        evaluation: What was found.

    Returns:
        What was written beside the page, in a sentence; empty if that is nothing.
    """
    return html.write(
        evaluation,
        None if given.report is None else Path(given.report),
        _facts(given, words),
        samples.x,
        None if given.raster is None else _shown(given, network, samples),
        None if given.figures is None else Path(given.figures),
    )


def require_page(given: argparse.Namespace) -> None:
    """Find out before the work that a page and figures can be written.

    Raises:
        DataError: They cannot.
    """
    if given.report is not None or given.figures is not None:
        html.require()
    if given.figures is not None:
        files.make_folder(Path(given.figures))


def write_compared(
    given: argparse.Namespace, words: Sequence[str], runs: Sequence[Run], title: str
) -> str:
    """Write a page of several runs and what goes beside it, where that is asked for.

    Args:
        given: The options.
        words: The words that they were read from, with the command.
        runs: What was found.
        title: Head of the page.

    Returns:
        What was written beside the page, in a sentence; empty if that is nothing.
    """
    if given.report is None and given.figures is None:
        return ""
    return html.write_compared(
        runs,
        title,
        {"command": shlex.join(["onnx2genn", *words])},
        None if given.report is None else Path(given.report),
        None if given.figures is None else Path(given.figures),
    )


def _shown(given: argparse.Namespace, network: SpikingNetwork, samples: Samples) -> Shown:
    """Record one sample, on the engine that needs no compiler: all give the same."""
    one = samples.x[given.raster : given.raster + 1]
    neurons = dict(given.membrane)
    (recording,) = network.simulate(one, membrane=list(neurons), backend=EMBEDDED)
    return Shown(recording=recording, sample=given.raster, neurons=neurons)


def _facts(given: argparse.Namespace, words: Sequence[str]) -> dict[str, str]:
    """Say what was run, for the report."""
    seed = str(given.seed or 0)
    limit = f", the first {given.limit:,} samples" if given.limit else ""
    random = f"{RANDOM_SAMPLES} random inputs of seed {seed}, for there were no data"
    found = {
        "command": shlex.join(["onnx2genn", *words]),
        "model": given.model,
        "evaluated on": random if given.evaluate is None else given.evaluate + limit,
        "seed": seed,
        "configuration": written(given),
    }
    return found if given.calibrate is None else {**found, "calibrated on": given.calibrate}
