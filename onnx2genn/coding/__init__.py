"""Codings by name, and presets: codings with their options set as in a paper."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from onnx2genn.coding.base import AccumulatingCoding, Coding, StepwiseCoding
from onnx2genn.coding.few_spike import FewSpike
from onnx2genn.coding.rate import Rate
from onnx2genn.coding.two_phase import TwoPhase
from onnx2genn.errors import CodingError

__all__ = [
    "CODINGS",
    "DEFAULT",
    "PRESETS",
    "AccumulatingCoding",
    "Coding",
    "Preset",
    "StepwiseCoding",
    "make",
]

CODINGS: dict[str, type[Coding]] = {item.name: item for item in (FewSpike, TwoPhase, Rate)}
DEFAULT = FewSpike.name


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """A coding with its options set as in a paper."""

    coding: Coding
    paper: str


PRESETS: dict[str, Preset] = {
    "diehl": Preset(
        coding=Rate(
            steps=350,
            reset="hard",
            initial=0.0,
            lookahead=0,
            input="poisson",
            readout="spikes",
            threshold="max",
            per_channel=False,
            bias_correction=False,
            weight_maximum=True,
        ),
        paper="Diehl et al. 2015, Fast-classifying, high-accuracy spiking deep networks through "
        "weight and threshold balancing (IJCNN)",
    ),
    "rueckauer": Preset(
        coding=Rate(
            steps=350,
            initial=0.0,
            lookahead=0,
            threshold="percentile",
            percentile=99.9,
            per_channel=False,
            bias_correction=False,
        ),
        paper="Rueckauer et al. 2017, Conversion of continuous-valued deep networks to efficient "
        "event-driven networks for image classification (Frontiers in Neuroscience)",
    ),
    "sengupta": Preset(
        coding=Rate(
            steps=2500,
            reset="hard",
            initial=0.0,
            lookahead=0,
            input="poisson",
            threshold="spike-norm",
            per_channel=False,
            bias_correction=False,
        ),
        paper="Sengupta et al. 2019, Going deeper in spiking neural networks: VGG and residual "
        "architectures (Frontiers in Neuroscience)",
    ),
    "signed": Preset(
        coding=Rate(steps=16, signed=True, lookahead=0),
        paper="Wang et al. 2022, Signed neuron with memory: towards simple, accurate and "
        "high-efficient ANN-SNN conversion (IJCAI)",
    ),
    "graded": Preset(
        coding=Rate(steps=2, bits=4, lookahead=0),
        paper="Li and Zeng 2022, Efficient and accurate conversion of spiking neural network with "
        "burst spikes (IJCAI)",
    ),
}


def make(coding: str | Coding = DEFAULT, **options: Any) -> Coding:
    """Make a coding from the name of a coding or preset and options; None leaves a default.

    Args:
        coding: Name, or a coding, which takes the options in place of its own.
        options: Options of the coding, as ``steps``.

    Raises:
        CodingError: The name, an option or its value is unknown.
    """
    given = {key: value for key, value in options.items() if value is not None}
    base = coding if isinstance(coding, Coding) else _named(coding)
    known = {item.name for item in fields(base)}
    unknown = sorted(set(given) - known)
    if unknown:
        raise CodingError(
            f"Coding {base.name!r} has no option {', '.join(unknown)}; "
            f"it has {', '.join(sorted(known))}."
        )
    _check_types(base, given)
    return replace(base, **given)


def _check_types(base: Coding, given: dict[str, Any]) -> None:
    """Refuse a value of another type than the option's own; a whole number is also a fraction."""
    for key, value in given.items():
        wanted = type(getattr(base, key))
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise CodingError(f"{key}={value!r} is no {_TYPES[wanted]}.")


_TYPES = {int: "whole number", float: "number", bool: "true or false", str: "word"}


def _named(name: str) -> Coding:
    if name in PRESETS:
        return PRESETS[name].coding
    if name in CODINGS:
        return CODINGS[name]()  # type: ignore[call-arg]
    raise CodingError(f"There is no coding {name!r}; choose {', '.join([*CODINGS, *PRESETS])}.")
