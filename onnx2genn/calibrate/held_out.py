"""Choices that are made by the error of the answer on samples that were held out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from onnx2genn.backends.registry import EMBEDDED, predict
from onnx2genn.calibrate.observe import Observation
from onnx2genn.evaluate.forecast import Forecast
from onnx2genn.ir.outputs import separate_outputs
from onnx2genn.network import Network

# Activations of a channel that weigh as much as what is known of its population: 0 trusts the
# channel alone.
EVIDENCE = (0, 30, 300, 3000, 30000)
UNTRIED = 300  # where no samples were held out
_ALIKE = 2.0  # standard errors of a difference: what few samples do not tell apart
_SIMULATED = 16
_TINY = 1e-12


class HeldOut:
    """The ANN's answers for samples that no threshold was chosen from.

    Attributes:
        apart: Whether there are such samples.
        populations: Those of the model.

    Args:
        seen: What was observed. Where no samples were held out, some of the others are taken.
    """

    def __init__(self, seen: Observation) -> None:
        self.samples = seen.held if len(seen.held) else seen.samples[-_SIMULATED:]
        self.apart, self.populations = bool(len(seen.held)), seen.model.parts.populations
        self._outputs = seen.model.parts.outputs
        target = seen.model.parts.readout.target
        self._wanted = np.concatenate(
            [found[target] for found in seen.model.activations([target], self.samples)]
        )

    def error(self, network: Network, *, simulate: bool = False) -> float:
        """Return the root of the squared error of the logits, each output over its spread.

        Args:
            network: Network to try.
            simulate: Whether to simulate neurons that fire while they integrate, on fewer samples,
                instead of taking the forecast.
        """
        return float(np.sqrt(self.squares(network, simulate=simulate).sum()))

    def squares(self, network: Network, *, simulate: bool = False) -> np.ndarray:
        """Return what each sample adds to the squared error, [N]; see :meth:`error`."""
        if simulate and not network.coding.accumulates:
            samples = self.samples[:_SIMULATED]
            logits = predict(network, samples, EMBEDDED)
        else:
            samples, logits = self.samples, Forecast(network).logits(self.samples)
        ours, anns = (separate_outputs(self._outputs, item) for item in (logits, self._wanted))
        squares = [
            np.square(ours[name] - anns[name][: len(samples)]).reshape(len(samples), -1).sum(axis=1)
            / max(anns[name].var(), _TINY)
            for name in ours
        ]
        return np.asarray(np.sum(squares, axis=0, dtype=np.float64))

    def relative(self, error: float) -> float:
        """Return an error of the forecast over the spread of the logits."""
        return error / float(np.sqrt(self._wanted.size))


def weigh(
    trial: HeldOut, build: Callable[[int, bool], Network]
) -> tuple[tuple[int, bool], np.ndarray]:
    """Choose how much evidence a channel needs before its own threshold is trusted.

    It is that with the least error. Where every activation has a bound, so that it is certain how
    wide is wide enough, it is the most evidence whose error is not larger by two standard errors of
    the difference (after the rule of one standard error: Breiman et al. 1984, "Classification and
    Regression Trees"): few samples hardly show what is cut off on others.

    Args:
        trial: Samples that were held out.
        build: Makes a network for one of ``EVIDENCE``, and, where that is False, without lower
            ends above 0, which are left out if that brings the answers closer.

    Returns:
        What to build the network with, and what each sample adds to its squared error, [N].
    """
    networks = {item: build(item, True) for item in EVIDENCE}
    squares = {item: trial.squares(network) for item, network in networks.items()}
    neurons = [item for item in trial.populations if not item.pools]
    evidence = min(EVIDENCE, key=lambda item: squares[item].sum())
    if all(item.bound is not None for item in neurons):
        least = squares[evidence]
        evidence = max(item for item in EVIDENCE if _alike(squares[item] - least))
    other = build(evidence, False)
    if _round_alike(networks[evidence], other):
        return (evidence, True), squares[evidence]
    plain = trial.squares(other)
    with_lows = bool(plain.sum() >= squares[evidence].sum())
    return (evidence, with_lows), squares[evidence] if with_lows else plain


def _round_alike(network: Network, other: Network) -> bool:
    """Whether two networks have the same thresholds, and levels that begin alike."""
    pairs = ((network.thresholds, other.thresholds), (network.offsets, other.offsets))
    return all(
        np.array_equal(array, others[name])
        for found, others in pairs
        for name, array in found.items()
    )


def _alike(differences: np.ndarray) -> bool:
    """Whether squared errors of the same samples are larger by no more than chance may have it."""
    error = differences.std(ddof=1) * np.sqrt(len(differences))
    return bool(differences.sum() <= _ALIKE * error)


def lowers(after: np.ndarray, before: np.ndarray) -> bool:
    """Whether squared errors of the same samples, [N], are smaller by more than chance may have it.

    That is by two standard errors of the difference.
    """
    return not _alike(before - after)


def keep_if_better(seen: Observation, network: Network, changed: Network) -> Network:
    """Return a changed network if its answers are closer to the ANN's than before.

    Args:
        seen: What was observed.
        network: Network as it is.
        changed: What may take its place.
    """
    trial = HeldOut(seen)
    before, after = (trial.error(item, simulate=True) for item in (network, changed))
    return changed if after < before else network
