"""What an evaluation finds, as plain values."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from onnx2genn.evaluate.deviation import Deviation
from onnx2genn.ir.graph import Shape
from onnx2genn.network import Saving

_NEAR_CHANCE = 1.5
_OF_FIRST_OUTPUT = (
    "classes",
    "ann_accuracy",
    "forecast_accuracy",
    "snn_accuracy",
    "agreement",
    "accuracy_by_step",
    "agreement_by_step",
    "logits_error",
)


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
        digits: Digits of its values: T or fewer.
        spikes: Spikes of all neurons over all samples.
        correlation: Pearson correlation of the decoded activity with the ANN's activation over
            all neurons and the first samples, 256 or fewer of a network with more than half a
            million neurons; None where one of them does not vary.
        saturated: Share of neurons and samples that send the highest code.
        silent: Share of neurons that never fired.
        deviation: What separates it from the ANN.
    """

    name: str
    node: str
    kind: str
    shape: Shape
    neurons: int
    threshold: tuple[float, float]
    digits: int
    spikes: int
    correlation: float | None
    saturated: float
    silent: float
    deviation: Deviation = field(default_factory=Deviation)


@dataclass(frozen=True, kw_only=True)
class Projection:
    """The synapses of one population, of one relay, or of the readout.

    Attributes:
        target: Name of the population or of the relay; of the readout, its ONNX tensor.
        sources: Names of the populations, relays and the input that it comes from.
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
class Score:
    """How one output of the spiking network does, by the metric that suits it.

    Attributes:
        output: Its name.
        shape: Shape of its logits without the batch axis.
        task: What it is for: ``classes``, ``labels`` or ``values``.
        classes: Number of classes, 2 for labels, 0 for values.
        metric: Name of the metric.
        title: What tables call it.
        more: Whether more is better.
        units: Whether it is in the units of the output, and not a share.
        ann: The metric for the ANN against what the answers should be; None if that is not known.
        forecast: Likewise for the forecast.
        snn: Likewise for the SNN.
        by_step: Likewise after each step of the window.
        forecast_to_ann: The metric for the forecast against the answers of the ANN.
        to_ann: Likewise for the SNN.
        to_ann_by_step: Likewise after each step of the window.
        correlation: Pearson correlation of the logits of SNN and ANN; None where one is constant.
        error: Root mean square of the logits' error, in their units.
        spread: Standard deviation of the ANN's logits.
    """

    output: str
    shape: Shape
    task: str
    classes: int
    metric: str
    title: str
    more: bool
    units: bool
    ann: float | None
    forecast: float | None
    snn: float | None
    by_step: list[float] | None
    forecast_to_ann: float
    to_ann: float
    to_ann_by_step: list[float]
    correlation: float | None
    error: float
    spread: float

    @property
    def is_share(self) -> bool:
        """Whether it says how many answers are right."""
        return self.more and not self.units and self.classes > 0

    @property
    def is_accuracy(self) -> bool:
        """Whether it is the accuracy."""
        return self.metric == "accuracy"

    def share(self, value: float) -> float:
        """Return a value of the metric as a share, 0..1, of which 1 is the best."""
        if self.units:
            value /= max(self.spread, 1e-12)
        return min(max(value if self.more else 1 - value, 0.0), 1.0)

    @property
    def share_title(self) -> str:
        """What tables call the metric as a share."""
        if self.more:
            return self.title
        return f"1 - {self.title}" + (" / spread" if self.units else "")

    @property
    def relative_error(self) -> float:
        """The error of the logits over their spread."""
        return self.error / max(self.spread, 1e-12)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a spiking network does against its ANN, on the same samples.

    ``scores`` has how each output does, by the metric that suits it. What speaks of accuracies is
    of the first output: shares between 0 and 1, None without labels and where it has no classes.

    Attributes:
        model: Name of the model.
        coding: Name of the coding.
        steps: Time steps of a window.
        latency_steps: Steps from the presentation of a sample to the answer.
        backend: Backend that ran the network.
        samples: Number of samples.
        scores: How each output does.
        spikes_per_sample: Spikes of all populations.
        sops_per_sample: Synaptic operations: one spike arriving over one synapse. A constant
            input current causes none; it costs the multiply-accumulates of the first segment once.
        macs_per_sample: Multiply-accumulates of the ANN.
        samples_per_second: Of the simulation, with spikes recorded.
        populations: Each population's activity.
        settings: The coding with all its options.
        calibration_samples: Samples that the thresholds were chosen from; 0 if they were guessed.
        inputs: Inputs of the spiking network with their shapes.
        input_ranges: Largest magnitude of each input, here and on the calibration samples.
        projections: What each population and each relay receives, and last the readout.
        differences: The first 100 samples that ANN and SNN answer differently.
        confusion: Which class of the ANN became which other one of the SNN, and how often; the
            most frequent first.
        tried: What remedies brought that were tried, in words.
        class_names: Names of the classes of the first output; empty if they have none.
        saving: What fewer digits save; None where that was not measured.
    """

    model: str
    coding: str
    steps: int
    latency_steps: int
    backend: str
    samples: int
    scores: list[Score]
    spikes_per_sample: float
    sops_per_sample: float
    macs_per_sample: int
    samples_per_second: float
    populations: list[PopulationActivity] = field(default_factory=list)
    settings: str = ""
    calibration_samples: int = 0
    inputs: dict[str, Shape] = field(default_factory=dict)
    input_ranges: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    projections: list[Projection] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    confusion: list[tuple[int, int, int]] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    class_names: list[str] = field(default_factory=list)
    saving: Saving | None = None

    @property
    def score(self) -> Score:
        """How the first output does."""
        return self.scores[0]

    @property
    def classes(self) -> int:
        """Number of classes; 2 for labels that hold or not, 0 for values."""
        return self.score.classes

    @property
    def ann_accuracy(self) -> float | None:
        """Accuracy of the ANN, by onnxruntime."""
        return self.score.ann if self.score.is_accuracy else None

    @property
    def forecast_accuracy(self) -> float | None:
        """Accuracy of the ANN with its activations rounded to the coding's values."""
        return self.score.forecast if self.score.is_accuracy else None

    @property
    def snn_accuracy(self) -> float | None:
        """Accuracy of the spiking network."""
        return self.score.snn if self.score.is_accuracy else None

    @property
    def agreement(self) -> float | None:
        """Share of the ANN's answers that are those of the SNN, by the metric."""
        return self.score.to_ann if self.score.is_share else None

    @property
    def accuracy_by_step(self) -> list[float] | None:
        """Accuracy of the readout after each step of its window."""
        return self.score.by_step if self.score.is_accuracy else None

    @property
    def agreement_by_step(self) -> list[float] | None:
        """Likewise for the agreement."""
        return self.score.to_ann_by_step if self.score.is_share else None

    @property
    def logits_error(self) -> float:
        """Root mean square of the logits' error over the standard deviation of the ANN's."""
        return self.score.relative_error

    @property
    def near_chance(self) -> bool:
        """Whether the ANN itself does hardly better than guessing."""
        return self.ann_accuracy is not None and self.ann_accuracy * self.classes < _NEAR_CHANCE

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON; what is no number is None there."""
        found = plain(asdict(self))
        return {**found, **{name: plain(getattr(self, name)) for name in _OF_FIRST_OUTPUT}}


def plain(value: Any) -> Any:
    """Return values as JSON has them; what is no number is None there."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
