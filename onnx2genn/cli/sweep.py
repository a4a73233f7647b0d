"""``onnx2genn sweep``: codings and steps tried one by one, and what each reaches and costs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onnx2genn import coding as codings
from onnx2genn import files
from onnx2genn.backends.registry import AUTO, BACKENDS, choose
from onnx2genn.calibrate.encode import encode
from onnx2genn.calibrate.observe import observe
from onnx2genn.calibrate.source import read_with_samples
from onnx2genn.cli import values
from onnx2genn.cli.options import FIGURES, add_reading, reading_options
from onnx2genn.cli.output import Output, progress
from onnx2genn.cli.preparation import add_preprocessing
from onnx2genn.cli.reporting import require_page, write_compared
from onnx2genn.cli.scheduler import scheduler
from onnx2genn.coding import CODINGS, PRESETS
from onnx2genn.coding.base import THRESHOLD_RULES
from onnx2genn.data import load_samples
from onnx2genn.errors import BackendError, CalibrationError, CodingError
from onnx2genn.evaluate.evaluation import evaluate
from onnx2genn.report import comparison
from onnx2genn.streams import RELAYS

STEPS: dict[str, tuple[int, ...]] = {
    "few-spike": (2, 3, 4, 6, 8),
    "two-phase": (4, 8, 16),
    "rate": (8, 16, 32),
}
"""What is tried where nothing else is asked for."""


def sweep(words: Sequence[str]) -> None:
    """Try codings and steps, and print what each reaches and costs.

    Raises:
        Onnx2GennError: The model or the data cannot be handled.
    """
    given = parser().parse_args(words)
    output = Output(quiet=given.quiet)
    for name in (given.report, given.json):
        if name is not None:
            files.require_place(Path(name))
    require_page(given)
    records = _records(given, output)
    if not records:
        raise CodingError("none of the codings can express the network")
    runs = comparison.runs_of(records)
    output.print(comparison.table_of_sweep(runs))
    output.say("*: no other run is both as good and as cheap in synaptic operations")
    if given.json is not None:
        content = {"model": given.model, "runs": records}
        files.write(Path(given.json), json.dumps(content, indent=2, allow_nan=False).encode())
    title = f"{Path(given.model).name}: codings and steps"
    if written := write_compared(given, ["sweep", *words], runs, title):
        output.say(written)


def parser() -> argparse.ArgumentParser:
    """Write the parser of its words."""
    found = argparse.ArgumentParser(
        prog="onnx2genn sweep",
        description="Convert a network with several codings and numbers of steps; say what each "
        "reaches and what it costs. The model is read, and the calibration samples are run, once.",
    )
    add = found.add_argument
    add("model", metavar="MODEL.onnx", type=values.file)
    add("--calibrate", metavar="FILE", type=values.file, required=True, help="training samples")
    add("--evaluate", metavar="FILE", type=values.file, required=True, help="test samples")
    add("--limit", metavar="N", type=values.positive, help="evaluate only the first N samples")
    add(
        "--codings",
        metavar="NAME,...",
        type=_codings,
        default=list(STEPS),
        help=f"codings and presets (default {','.join(STEPS)})",
    )
    add("--steps", metavar="T,...", type=_all_steps, help="the same steps for all codings")
    add("--threshold", choices=THRESHOLD_RULES, help="how thresholds are chosen")
    add("--metric", metavar="NAME", type=values.word, help="what to judge answers by")
    add_reading(found)
    add_preprocessing(found)
    add("--backend", choices=[AUTO, *BACKENDS], default="onnxruntime", help="simulator")
    add("--relays", choices=RELAYS, help="as for onnx2genn; synaptic operations go by them")
    shares = found.add_mutually_exclusive_group().add_argument
    shares("--workers", metavar="N", type=values.positive, help="processes that share the samples")
    shares("--scheduler", metavar="ADDRESS", type=values.word, help="a Dask scheduler that does so")
    add("--json", metavar="FILE", type=values.file, help="write all results")
    add("--quiet", action="store_true", help="print nothing but errors and warnings")
    add("--report", metavar="FILE.html", type=values.file, help="write a page to read")
    add("--figures", **FIGURES)
    return found


def _codings(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in (*CODINGS, *PRESETS):
            raise argparse.ArgumentTypeError(f"there is no coding {name!r}")
    return names


def _all_steps(text: str) -> list[int]:
    return [values.positive(part) for part in text.split(",")]


def _records(given: argparse.Namespace, output: Output) -> list[dict[str, Any]]:
    """Evaluate every coding with every number of steps; leave out what is refused, by name."""
    options = reading_options(given)
    with progress("Reading", quiet=given.quiet) as report:
        model, samples = read_with_samples(
            given.model,
            given.calibrate,
            options["output"],
            options["input_shape"],
            options["inputs"],
            preprocessing=options["preprocessing"],
            progress=report,
            input_values=options["input_values"],
        )
    assert samples is not None
    with (
        progress("Calibrating", quiet=given.quiet) as report,
        scheduler(given.scheduler) as executor,
    ):
        seen = observe(model, samples, progress=report, executor=executor, workers=given.workers)
    entries, front = model.entries, model.front
    with progress("Reading", quiet=given.quiet) as report:
        test = load_samples(
            given.evaluate,
            entries,
            given.limit,
            front,
            resize=options["preprocessing"].resize,
            progress=report,
        )
    output.say(f"Backend {choose(given.backend).name}, {len(test.x):,} samples")
    found = []
    for name in given.codings:
        for steps in given.steps or STEPS.get(name, (codings.make(name).steps,)):
            try:
                network = encode(seen, codings.make(name, steps=steps, threshold=given.threshold))
                with (
                    progress(f"{name}, {steps} steps", quiet=given.quiet) as report,
                    scheduler(given.scheduler) as executor,
                ):
                    result = evaluate(
                        network,
                        test.x,
                        test.y,
                        backend=given.backend,
                        metric=given.metric,
                        class_names=test.names,
                        progress=report,
                        executor=executor,
                        workers=given.workers,
                        relays=given.relays,
                    )
            except (BackendError, CalibrationError, CodingError) as error:
                output.say(f"{name}, {steps} steps: {error}", style="yellow")
                continue
            found.append({**result.to_dict(), "coding": name, "model": given.model})
    return found
