"""What an evaluation finds, as plain values."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from onnx2genn.ir.graph import Shape

_NEAR_CHANCE = 1.5


@dataclass(frozen=True, kw_only=True)
class PopulationActivity:
    """What one population did.

    Attributes:
        name: Name of the population.
        node: Name of the ONNX node.
        kind: Operator of the ONNX node.
        shape: Shape without the batch axis.
        neurons: Number of neurons.
        threshold: Smallest and largest threshold, in ANN units.
        spikes: Spikes of all neurons over all samples.
        correlation: Pearson correlation of the decoded activity with the ANN's activation over
            all neurons and samples; None where one of them does not vary.
        saturated: Share of neurons and samples that send the highest code.
        silent: Share of neurons that never fired.
    """

    name: str
    node: str
    kind: str
    shape: Shape
    neurons: int
    threshold: tuple[float, float]
    spikes: int
    correlation: float | None
    saturated: float
    silent: float


@dataclass(frozen=True, kw_only=True)
class Projection:
    """The synapses of one population, or of the readout.

    Attributes:
        target: Name of the population; of the readout, its ONNX tensor.
        sources: Names of the populations and of the input that it comes from.
        operators: Operators on the way, each once.
        shape: Shape of the target without the batch axis.
        sops: Synaptic operations for one sample.
        current_macs: Multiply-accumulates for one sample that turn a constant input into a current.
    """

    target: str
    sources: list[str]
    operators: list[str]
    shape: Shape
    sops: float
    current_macs: int


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A sample that ANN and SNN answer differently.

    Attributes:
        sample: Its place in the data, from 0.
        label: Its label; None without labels.
        ann: Class that the ANN chooses.
        snn: Class that the SNN chooses.
        margin: Logit of the ANN for its class, less that for the SNN's; of a single logit its size.
    """

    sample: int
    label: int | None
    ann: int
    snn: int
    margin: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a spiking network does against its ANN, on the same samples.

    Accuracies are shares between 0 and 1, and None without labels.

    Attributes:
        model: Name of the model.
        coding: Name of the coding.
        steps: Time steps of a window.
        latency_steps: Steps from the presentation of a sample to the answer.
        backend: Backend that ran the network.
        samples: Number of samples.
        ann_accuracy: Of the ANN, by onnxruntime.
        forecast_accuracy: Of the ANN with its activations rounded to the coding's values.
        snn_accuracy: Of the spiking network.
        agreement: Share of samples for which SNN and ANN choose the same class.
        accuracy_by_step: Of the readout after each step of its window.
        agreement_by_step: Likewise for the agreement.
        logits_error: Root mean square of the logits' error over the standard deviation of the
            ANN's logits.
        spikes_per_sample: Spikes of all populations.
        sops_per_sample: Synaptic operations: one spike arriving over one synapse. A constant
            input current causes none; it costs the multiply-accumulates of the first segment once.
        macs_per_sample: Multiply-accumulates of the ANN.
        samples_per_second: Of the simulation, with spikes recorded.
        populations: Each population's activity.
        classes: Number of classes.
        settings: The coding with all its options.
        calibration_samples: Samples that the thresholds were chosen from; 0 if they were guessed.
        inputs: Inputs of the spiking network with their shapes.
        projections: What each population receives, and last the readout.
        differences: The first 100 samples that ANN and SNN answer differently.
    """

    model: str
    coding: str
    steps: int
    latency_steps: int
    backend: str
    samples: int
    ann_accuracy: float | None
    forecast_accuracy: float | None
    snn_accuracy: float | None
    agreement: float
    accuracy_by_step: list[float] | None
    agreement_by_step: list[float]
    logits_error: float
    spikes_per_sample: float
    sops_per_sample: float
    macs_per_sample: int
    samples_per_second: float
    populations: list[PopulationActivity] = field(default_factory=list)
    classes: int = 0
    settings: str = ""
    calibration_samples: int = 0
    inputs: dict[str, Shape] = field(default_factory=dict)
    projections: list[Projection] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    @property
    def near_chance(self) -> bool:
        """Whether the ANN itself does hardly better than guessing."""
        return self.ann_accuracy is not None and self.ann_accuracy * self.classes < _NEAR_CHANCE

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON; what is no number is None there."""
        return _plain(asdict(self))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
