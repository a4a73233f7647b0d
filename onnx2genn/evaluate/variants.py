"""Samples prepared otherwise: where the ANN is right then, the data were not as in training."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from onnx2genn.evaluate.errors_by_cause import MOST_SAMPLES
from onnx2genn.network import Network

_LEAST_GAIN = 0.1
_BYTE = 255.0
_COLOURS = 3


def better_prepared(network: Network, samples: np.ndarray, labels: np.ndarray) -> list[str]:
    """Find how else samples may be meant, by what the ANN makes of the first ones.

    Args:
        network: Network of one input, whose ANN chooses a class for each sample.
        samples: Samples [N, ...] as they were given.
        labels: Their classes [N].

    Returns:
        A sentence on the best way, if the ANN does much better with it; else nothing.
    """
    x, y = samples[:MOST_SAMPLES], labels[:MOST_SAMPLES].astype(np.int64)
    chosen = _classes(network, x)
    before = float(np.mean(chosen == y))
    ways = {how: float(np.mean(_classes(network, array) == y)) for how, array in variants(x)}
    for how, shift in (("labels that begin at 0", -1), ("labels that begin at 1", 1)):
        ways[how] = float(np.mean(chosen == y + shift))
    how, after = max(ways.items(), key=lambda item: item[1])
    if after - before < _LEAST_GAIN or 1 - after > (1 - before) * 2 / 3:
        return []
    return [
        f"With {how}, the ANN reaches {100 * after:.2f} % in place of {100 * before:.2f} % on "
        f"{len(x):,} of the samples: prepare the data in that way."
    ]


def variants(x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Return samples [N, ...] scaled, turned and ordered otherwise, each with its words."""
    largest, smallest = float(np.abs(x).max()), float(x.min())
    if largest > 1.5:
        yield "samples divided by 255", x / np.float32(_BYTE)
        yield f"samples divided by {largest:g}", x / np.float32(largest)
        yield "samples scaled to -1..1", x / np.float32(largest / 2) - 1
    elif largest > 0:
        yield "samples multiplied by 255", x * np.float32(_BYTE)
        if smallest >= 0:
            yield "samples scaled to -1..1", x * np.float32(2 / largest) - 1
    if smallest >= 0:
        yield "dark and light exchanged", np.float32(largest) - x
    spread = float(x.std())
    if spread > 0:
        yield "samples of mean 0 and variance 1", (x - x.mean()) / np.float32(spread)
    yield from _turned(x)


def _turned(x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Exchange axes, and read memory in the order of another layout, where shapes allow it."""
    shape = x.shape[1:]
    axes = tuple(range(1, x.ndim))
    if not 2 <= len(axes) <= 4:
        return
    for order in permutations(axes):
        if order == axes:
            continue
        words = ", ".join(map(str, order))
        if tuple(x.shape[axis] for axis in order) == shape:
            yield f"the axes of a sample in the order {words}", x.transpose(0, *order)
        if 1 not in shape:
            # A reshape where a transposition was meant.
            laid_out = x.reshape(len(x), *(x.shape[axis] for axis in order))
            back = np.argsort([0, *order])
            yield f"the layout of axes {words} transposed, not reshaped", laid_out.transpose(back)
    for axis in (1, x.ndim - 1):
        if x.ndim == 4 and x.shape[axis] == _COLOURS:
            yield "colours in the order BGR, or RGB", np.flip(x, axis)


def _classes(network: Network, x: np.ndarray) -> np.ndarray:
    target = network.model.parts.readout.target
    feeds = {network.input_name: np.ascontiguousarray(x, np.float32)}
    logits = network.model.runner([target])(feeds)[target].reshape(len(x), -1)
    return (logits[:, 0] > 0).astype(int) if logits.shape[1] == 1 else logits.argmax(axis=1)
