"""Thresholds of whole populations, moved one after the other by the error of the answer."""

from __future__ import annotations

import numpy as np

from onnx2genn.calibrate.by_spikes import with_threshold
from onnx2genn.calibrate.held_out import HeldOut, lowers
from onnx2genn.calibrate.thresholds import limited
from onnx2genn.network import Network

_FACTORS = (0.85, 1.2)
_FINE = 0.03  # error of the answers, over their spread, that needs no refinement
_MOST = 1.6e9  # neurons times samples of all trials


def refine(trial: HeldOut, network: Network, squares: np.ndarray | None = None) -> Network:
    """Scale the thresholds of populations where that brings the answers closer to the ANN's.

    The squared error of a population does not tell what its errors do to the answer: those of an
    edge filter matter more than those of a mean, and clipping more or less than rounding. So for
    each population, the first ones first, whose errors reach all others, it tries a smaller and a
    larger threshold on samples that were held out, and keeps what lowers their error by more than
    chance may have it. Large networks end before the last population.

    Args:
        trial: Samples that were held out; without any, thresholds stay.
        network: Network of a coding that accumulates first, whose forecast is its answer.
        squares: What each sample adds to its squared error, [N], if that is known.
    """
    if not trial.apart or not network.coding.accumulates:
        return network
    best = trial.squares(network) if squares is None else squares
    if trial.relative(float(np.sqrt(best.sum()))) < _FINE:
        return network
    pooled = {name for item in network.populations if item.pools for name in item.segment.sources}
    tried = [item for item in network.populations if not item.pools and item.tensor not in pooled]
    trials = int(_MOST // max(network.neurons * len(trial.samples), 1))
    for item in tried[: trials // len(_FACTORS)]:
        for factor in _FACTORS:
            wanted = network.thresholds[item.name] * np.float32(factor)
            threshold = limited(network.coding_of(item), item, wanted, network.offsets[item.name])
            changed = with_threshold(network, item, threshold)
            found = trial.squares(changed)
            if lowers(found, best):
                network, best = changed, found
                break
    return network
