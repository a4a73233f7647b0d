"""Presets: codings with their options set as in a paper."""

from __future__ import annotations

from dataclasses import dataclass

from onnx2genn.coding.base import Coding
from onnx2genn.coding.rate import Rate


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
