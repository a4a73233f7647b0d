"""Where the spiking network parts from its ANN, why, and which option mends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onnx2genn.evaluate.result import Evaluation, PopulationActivity

PARTED = 0.1
"""Mean square error over the variance from which on activity is said to part from the ANN's; that
of a correlation of 0.95."""
_OTHER_RANGE = 1.5
_MUCH_TOO_HIGH = 4.0
_CODING_THAT_COLLECTS = "few-spike"


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One thing that is wrong.

    Attributes:
        cause: One of ``data``, ``dead``, ``range``, ``clipped``, ``thresholds``, ``levels``,
            ``silent``, ``uneven``, ``accumulated``, ``readout``.
        node: ONNX node of the population where it shows; empty if it is everywhere.
        text: What it is and what to do, in a sentence or two.
        remedy: Options of ``convert`` that mend it; empty if none does.
    """

    cause: str
    text: str
    node: str = ""
    remedy: Mapping[str, Any] = field(default_factory=dict)


def diagnose(evaluation: Evaluation) -> list[Diagnosis]:
    """Name what is wrong: with the data, with a dead layer, and where ANN and SNN part.

    Args:
        evaluation: What was found on some samples.

    Returns:
        Nothing where the SNN follows the ANN, and that does better than chance.
    """
    found = []
    if evaluation.near_chance:
        found.append(_chance(evaluation))
    dead = next((item for item in evaluation.populations if _is_dead(item)), None)
    if dead is not None:
        found.append(_dead(dead))
    first = next((item for item in evaluation.populations if parts(item)), None)
    if first is not None:
        found.append(_parted(evaluation, first))
    elif evaluation.score.relative_error**2 > PARTED:
        found.append(_at_the_readout(evaluation))
    return found


def parts(item: PopulationActivity) -> bool:
    """Whether the decoded activity of a population parts from the ANN's."""
    return item.deviation.error is not None and item.deviation.error > PARTED


def _chance(evaluation: Evaluation) -> Diagnosis:
    return Diagnosis(
        cause="data",
        text=f"The ANN itself reaches only {100 * (evaluation.ann_accuracy or 0):.2f} %, near "
        f"chance for {evaluation.classes} classes. This is the data, its scaling, its layout or "
        "the order of its labels, not the conversion: compare with the preprocessing used in "
        "training.",
    )


def _is_dead(item: PopulationActivity) -> bool:
    return item.deviation.largest == 0.0 and item.spikes == 0


def _dead(item: PopulationActivity) -> Diagnosis:
    return Diagnosis(
        cause="dead",
        node=item.node,
        text=f"{item.node} is dead in the ANN: none of its {item.neurons:,} activations is above "
        "its lowest value on these samples. Conversion cannot mend that: look at the training, or "
        "at the scaling of the data.",
    )


def _parted(evaluation: Evaluation, item: PopulationActivity) -> Diagnosis:
    deviation = item.deviation
    error = 100 * (deviation.error or 0.0)
    start = (
        f"ANN and SNN part at {item.node} (the error is {error:.0f} % of the variance of its "
        "activations): "
    )
    shares = {
        "clipped": deviation.clipping,
        "levels": deviation.rounding,
        "uneven": deviation.unevenness,
        "accumulated": deviation.inherited,
    }
    largest = max(shares, key=lambda name: shares[name])
    cause, why, remedy = _WHY[largest](evaluation, item)
    return Diagnosis(cause=cause, node=item.node, text=start + why, remedy=remedy)


_Found = tuple[str, str, Mapping[str, Any]]


def _clipped(evaluation: Evaluation, item: PopulationActivity) -> _Found:
    deviation = item.deviation
    if not evaluation.calibration_samples:
        return "clipped", _UNCALIBRATED, {}
    if _is_other(deviation.largest, deviation.calibrated):
        return "range", _range_text(evaluation, item), {}
    text = (
        f"its largest activation is {deviation.largest:.3g}, and spikes reach {deviation.top:.3g}. "
        "Its thresholds are too low: "
    )
    if "threshold='max'" in evaluation.settings:
        return "clipped", text + "calibrate on more, and on more varied, training samples.", {}
    return "clipped", text + "choose --threshold max.", {"threshold": "max"}


def _levels(evaluation: Evaluation, item: PopulationActivity) -> _Found:
    deviation = item.deviation
    if not evaluation.calibration_samples:
        return "thresholds", _UNCALIBRATED, {}
    if _is_other(deviation.calibrated or 0.0, deviation.largest):
        return "range", _range_text(evaluation, item), {}
    silent = "" if item.spikes else "no neuron of it ever fires; "
    if deviation.top > _MUCH_TOO_HIGH * deviation.largest:
        text = (
            f"{silent}spikes reach {deviation.top:.3g}, and its largest activation is "
            f"{deviation.largest:.3g}. Its thresholds are too high: choose --threshold mse."
        )
        return "silent" if silent else "thresholds", text, {"threshold": "mse"}
    text = f"{silent}its levels are too coarse for the activations. Use more --steps."
    return "silent" if silent else "levels", text, {"steps": 2 * evaluation.steps}


def _uneven(evaluation: Evaluation, _: PopulationActivity | None) -> _Found:
    text = "spikes arrive unevenly, or not as their number says"
    if "input='poisson'" in evaluation.settings:
        return (
            "uneven",
            f"{text}: the input is random. Use --option input=constant, or more --steps.",
            {"input": "constant"},
        )
    if "reset='hard'" in evaluation.settings:
        return (
            "uneven",
            f"{text}: a hard reset loses what is above the threshold. Use --option reset=soft.",
            {"reset": "soft"},
        )
    return (
        "uneven",
        f"{text}, and neurons fire on what comes early. Use --coding {_CODING_THAT_COLLECTS}, "
        "which collects first, or --option lookahead with more steps.",
        {"coding": _CODING_THAT_COLLECTS},
    )


def _accumulated(evaluation: Evaluation, _: PopulationActivity | None) -> _Found:
    return (
        "accumulated",
        "the rounding of the populations before it adds up. Use more --steps.",
        {"steps": 2 * evaluation.steps},
    )


_WHY = {"clipped": _clipped, "levels": _levels, "uneven": _uneven, "accumulated": _accumulated}
_UNCALIBRATED = "its thresholds are a guess. Give --calibrate with training samples."


def _at_the_readout(evaluation: Evaluation) -> Diagnosis:
    """Every population follows, but the logits do not: small errors matter to them."""
    populations = evaluation.populations
    ways = [item.deviation for item in populations]
    shares = {
        "clipped": sum(item.clipping for item in ways),
        "uneven": sum(item.unevenness for item in ways),
        "accumulated": sum(item.rounding + item.inherited for item in ways),
    }
    start = (
        "Every population follows the ANN, but the logits part from the ANN's (the error is "
        f"{100 * evaluation.score.relative_error**2:.0f} % of their variance): "
    )
    if "readout='spikes'" in evaluation.settings:
        why = "the readout fires, and spikes say nothing below 0. Use --option readout=membrane."
        return Diagnosis(cause="readout", text=start + why, remedy={"readout": "membrane"})
    largest = max(shares, key=lambda name: shares[name])
    if largest == "clipped":
        item = max(populations, key=lambda item: item.deviation.clipping)
        cause, why, remedy = _clipped(evaluation, item)
        text = f"{start}most of it comes from {item.node}; {why}"
        return Diagnosis(cause=cause, node=item.node, text=text, remedy=remedy)
    cause, why, remedy = (_uneven if largest == "uneven" else _accumulated)(evaluation, None)
    return Diagnosis(cause=cause, text=start + why, remedy=remedy)


def _is_other(value: float, reference: float | None) -> bool:
    return reference is not None and value > _OTHER_RANGE * reference


def _range_text(evaluation: Evaluation, item: PopulationActivity) -> str:
    """Say how the range of the samples differs from that of the calibration, and since where."""
    text = (
        f"its activations reach {item.deviation.largest:.3g} here, and "
        f"{item.deviation.calibrated or 0:.3g} on the calibration samples. "
    )
    for name, (here, there) in evaluation.input_ranges.items():
        if _is_other(here, there) or _is_other(there or 0.0, here):
            text += (
                f"The input {name!r} differs, too: up to {here:.3g} here, {there:.3g} there. "
                "Scale both as in training, and calibrate again."
            )
            return text
    return text + "Calibrate on training data of the same kind as these samples."
