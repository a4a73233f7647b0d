"""``--diagnose``: try what the diagnosis advises, and say what it brings."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import onnx

from onnx2genn import coding as codings
from onnx2genn.api import convert
from onnx2genn.backends.registry import AUTO
from onnx2genn.cli.options import reading_options
from onnx2genn.coding import Coding
from onnx2genn.data import Samples
from onnx2genn.errors import BackendError, CalibrationError, CodingError
from onnx2genn.evaluate.diagnosis import diagnose
from onnx2genn.evaluate.errors_by_cause import MOST_SAMPLES
from onnx2genn.evaluate.evaluation import evaluate
from onnx2genn.evaluate.result import Evaluation
from onnx2genn.evaluate.task import CLASSES
from onnx2genn.evaluate.variants import better_prepared
from onnx2genn.network import Network
from onnx2genn.report.scores import agreement, written

_GOOD = 0.9


def tried(
    given: argparse.Namespace,
    proto: onnx.ModelProto | None,
    network: Network,
    samples: Samples,
    found: Evaluation,
) -> list[str]:
    """Try other ways to read the data, and the remedies of the diagnosis.

    Args:
        given: The options.
        proto: The model; None for a saved network, whose thresholds stay what they are.
        network: The network that was evaluated.
        samples: What it was evaluated on.
        found: What was found.

    Returns:
        A sentence on each; one that nothing had to be tried, if nothing is wrong.
    """
    lines = _data(network, samples, found)
    for remedy in [item.remedy for item in diagnose(found) if item.remedy]:
        if proto is None or given.calibrate is None:
            lines.append(
                f"{words(remedy)} was not tried: that needs the original model and --calibrate."
            )
        else:
            lines.append(_remedy(given, proto, network, samples, remedy))
    return lines or ["Diagnosis: nothing to mend was found."]


def words(remedy: Mapping[str, Any]) -> str:
    """Write a remedy as options of the command line."""
    flags = ("coding", "steps", "threshold")
    return " ".join(
        f"--{name} {value}" if name in flags else f"--option {name}={value}"
        for name, value in remedy.items()
    )


def _data(network: Network, samples: Samples, found: Evaluation) -> list[str]:
    score, y = found.score, samples.y
    plain = score.task == CLASSES and len(score.shape) <= 1 and len(network.entries) == 1
    plain &= not network.coding.events
    if not plain or y is None or y.ndim != 1 or (found.ann_accuracy or 0.0) >= _GOOD:
        return []
    return better_prepared(network, samples.x, y)


def _remedy(
    given: argparse.Namespace,
    proto: onnx.ModelProto,
    network: Network,
    samples: Samples,
    remedy: Mapping[str, Any],
) -> str:
    x = samples.x[:MOST_SAMPLES]
    y = samples.y if samples.y is None else samples.y[:MOST_SAMPLES]

    def score(candidate: Network) -> Evaluation:
        backend = given.backend or AUTO
        return evaluate(candidate, x, y, metric=given.metric, backend=backend)

    try:
        changed = _changed(network.coding, remedy)
        if network.coding.events and not changed.events:
            return f"{words(remedy)} was not tried: it takes no events."
        other = convert(
            proto,
            given.calibrate,
            changed,
            **reading_options(given),
        )
        before, after = score(network).score, score(other).score
    except (BackendError, CalibrationError, CodingError) as error:
        return f"Tried {words(remedy)}: {error}"
    what = after.title if after.snn is not None else f"{agreement(after)} with the ANN"
    a, b = ((item.to_ann if item.snn is None else item.snn) for item in (before, after))
    of_ann = "" if after.ann is None else f" (ANN {written(after, after.ann)})"
    return (
        f"Tried {words(remedy)}: {what} {written(before, a)} -> {written(after, b)}{of_ann}, on "
        f"{len(x):,} of the samples."
    )


def _changed(coding: Coding, remedy: Mapping[str, Any]) -> Coding:
    options = dict(remedy)
    other = options.pop("coding", None)
    return codings.make(coding if other is None else other, **options)
