"""Fewer digits of populations, in a sentence."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from onnx2genn.report.scores import quantity, span

if TYPE_CHECKING:
    from onnx2genn.evaluate.result import Evaluation
    from onnx2genn.network import Network, Saving


def of_network(network: Network) -> str:
    """Say which share of a network's populations has fewer digits; nothing if none has."""
    digits = [network.digits_of(item) for item in network.populations]
    return _sentence(digits, network.coding.steps, network.saving)


def of_evaluation(evaluation: Evaluation) -> str:
    """Say it of a network that was evaluated."""
    digits = [item.digits for item in evaluation.populations]
    return _sentence(digits, evaluation.steps, evaluation.saving)


def _sentence(digits: Collection[int], steps: int, saving: Saving | None) -> str:
    """Say how many populations have fewer digits than T, and what that saves; nothing if none has.

    Args:
        digits: Of each population.
        steps: T.
        saving: What that saves, if it was measured.
    """
    fewer = [item for item in digits if item < steps]
    if not fewer:
        return ""
    text = (
        f"{len(fewer)} of {len(digits)} populations have {span(min(fewer), max(fewer))} of {steps} "
        "digits"
    )
    if saving is None:
        return text
    spikes, operations = (
        f"{quantity(after)} in place of {quantity(before)} {what} (-{1 - after / before:.1%})"
        for what, (before, after) in (
            ("spikes", saving.spikes),
            ("synaptic operations", saving.operations),
        )
    )
    return f"{text}: {spikes} and {operations} a sample"
