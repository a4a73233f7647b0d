"""What the command does, mode by mode."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from onnx2genn import coding as codings
from onnx2genn import files
from onnx2genn.api import convert, examine, load
from onnx2genn.backends.recording import READOUT
from onnx2genn.backends.registry import AUTO, BACKENDS, EMBEDDED, choose, doctor, first_other
from onnx2genn.cli.combinations import faults
from onnx2genn.cli.options import coding_options, reading_options
from onnx2genn.cli.output import Output, progress
from onnx2genn.cli.reporting import require_page, require_shown, write_report
from onnx2genn.cli.samples import samples_of_run
from onnx2genn.cli.scheduler import scheduler
from onnx2genn.cli.trials import tried
from onnx2genn.coding import Coding
from onnx2genn.data import Samples
from onnx2genn.errors import BackendError, CodingError, UnsupportedModelError
from onnx2genn.evaluate.cross_check import cross_check
from onnx2genn.evaluate.evaluation import evaluate
from onnx2genn.evaluate.metrics import metric_for
from onnx2genn.evaluate.result import Evaluation
from onnx2genn.export import recordings
from onnx2genn.frontend.file import load_proto
from onnx2genn.report import digits, html, refusal, terminal
from onnx2genn.saving import is_saved_network
from onnx2genn.spiking_network import SpikingNetwork
from onnx2genn.stages import stage
from onnx2genn.streams import NONE


def run(given: argparse.Namespace, words: Sequence[str], *, simulate: bool = True) -> None:
    """Do what the options ask for.

    Args:
        given: The options.
        words: The words that they were read from.
        simulate: Whether to run the network once it is there.

    Raises:
        CodingError: The options do not go together.
        Onnx2GennError: The model or the data cannot be handled.
    """
    output = Output(quiet=given.quiet)
    if given.doctor:
        _require(given, "doctor")
        _doctor(output)
    elif given.model is None:
        raise CodingError("MODEL.onnx is missing; see --help")
    elif given.check:
        _require(given, "check")
        _check(given, words, output)
    else:
        _convert_and_evaluate(given, words, output, simulate=simulate)


def _require(given: argparse.Namespace, mode: str) -> None:
    found = faults(given, mode)
    if found:
        raise CodingError("; ".join(found))


def _doctor(output: Output) -> None:
    output.print(terminal.findings(doctor()))
    output.print(terminal.backends(BACKENDS.values()))
    backend = choose()
    output.say(f"auto takes {backend.name}: {backend.reason}")


def _check(given: argparse.Namespace, words: Sequence[str], output: Output) -> None:
    """Do all that can be refused when a model is converted."""
    if given.report is not None:
        html.require()
        files.require_place(Path(given.report))
    proto = load_proto(given.model)
    if is_saved_network(proto):
        load(given.model)
        output.say(f"{given.model} is a saved spiking network.")
        return
    title, facts = Path(given.model).name, {"command": shlex.join(["onnx2genn", *words])}
    try:
        coding = codings.make(given.coding or codings.DEFAULT, **coding_options(given))
        with progress("Reading", quiet=given.quiet):
            model = examine(proto, given.calibrate, **reading_options(given), coding=coding)
    except UnsupportedModelError as error:
        if given.report is not None and error.problems:
            page = refusal.refused(proto, error.problems, title, facts)
            files.write(Path(given.report), page.encode())
        raise
    if given.report is not None:
        files.write(Path(given.report), refusal.accepted(model, title, facts).encode())
    _trace(given, model.trace, output)
    output.say(f"{given.model} can be converted.")


def _convert_and_evaluate(
    given: argparse.Namespace, words: Sequence[str], output: Output, *, simulate: bool
) -> None:
    proto = load_proto(given.model)
    saved = is_saved_network(proto)
    _require(given, "saved" if saved else "convert")
    if given.metric is not None:
        metric_for(given.metric)
    for name in (given.save, given.json, given.report, given.record, given.resume):
        if name is not None:
            files.require_place(Path(name))
    require_page(given)
    if given.record is not None:
        recordings.require(Path(given.record))
    if given.export_genn is not None:
        files.make_folder(Path(given.export_genn))
    if saved:
        with progress("Reading", quiet=given.quiet), stage("the saved network"):
            network = load(given.model)
        output.say(f"Loaded {given.model}: {_coding_line(network)}")
        if network.model.preprocessing.options():
            output.say(f"Its samples are prepared: {network.model.preprocessing}")
    else:
        network = _converted(given, proto, output)
    if given.save is not None:
        with progress("Saving", quiet=given.quiet):
            network.save(given.save)
        output.say(f"Saved the spiking network as {given.save}")
    if given.export_genn is not None:
        with progress("Exporting", quiet=given.quiet):
            network.export_genn(given.export_genn, relays=given.relays or NONE)
        output.say(f"Exported the spiking network: python {given.export_genn}/network.py --help")
    if not simulate:
        return
    if given.cross_check is not None:
        _cross_check(given, network, output)
        return
    samples = samples_of_run(given, network, output)
    require_shown(given, network, samples)
    evaluation = _evaluated(given, network, samples, output)
    if given.diagnose:
        with progress("Trying remedies", quiet=given.quiet):
            lines = tried(given, None if saved else proto, network, samples, evaluation)
        evaluation = replace(evaluation, tried=lines)
    _write_json(given, evaluation.to_dict())
    if given.record is not None:
        _record(given, network, samples, output)
    if given.report is not None or given.figures is not None:
        with progress("Writing the report", quiet=given.quiet):
            written = write_report(given, words, network, samples, evaluation)
        if written:
            output.say(written)
    for part in (
        terminal.summary(evaluation),
        terminal.over_time(evaluation),
        terminal.activity(evaluation),
    ):
        output.print(part)
    for line in terminal.advice(evaluation):
        output.say(line, style="yellow")


def _converted(given: argparse.Namespace, proto: onnx.ModelProto, output: Output) -> SpikingNetwork:
    bar = progress("Calibrating", quiet=given.quiet)
    with bar as report, scheduler(given.scheduler) as executor:
        network = convert(
            proto,
            given.calibrate,
            _coding(given),
            steps="auto" if given.steps == "auto" else None,
            loss=given.loss,
            metric=given.metric if given.steps == "auto" else None,
            digits=dict(given.digits) or None,
            **reading_options(given),
            progress=report,
            executor=executor,
            workers=given.workers,
        )
    _trace(given, network.model.trace, output)
    for note in network.model.graph.notes:
        output.say(f"Note: {note}")
    output.say(f"Converted {given.model}: {_coding_line(network)}")
    if not network.calibration_samples:
        output.say(
            "Without calibration data the thresholds are a guess from the weights: expect a loss "
            "of accuracy, and give --calibrate FILE with training samples.",
            style="yellow",
        )
    return network


def _coding(given: argparse.Namespace) -> Coding:
    """Make the coding; refuse options of which it takes no notice."""
    options = coding_options(given)
    chosen = codings.make(given.coding or codings.DEFAULT, **options)
    if options.get("percentile") is not None and chosen.threshold != "percentile":
        raise CodingError("--percentile needs --threshold percentile")
    if given.seed is None:
        return chosen
    random = chosen.poisson
    if not random and given.evaluate is not None:
        raise CodingError("--seed has no effect: on --evaluate, this coding has nothing random")
    return codings.make(chosen, seed=given.seed) if random else chosen


def _trace(given: argparse.Namespace, lines: tuple[str, ...], output: Output) -> None:
    if given.trace:
        for line in lines:
            output.say(line)


def _coding_line(network: SpikingNetwork) -> str:
    coding = network.coding
    rule = f"thresholds by {coding.threshold}"
    if network.calibration_samples:
        rule += f" from {network.calibration_samples:,} samples"
    fewer = digits.of_network(network)
    return (
        f"{network.neurons:,} neurons in {len(network.populations)} populations, "
        f"coding {coding.name}, {coding.steps} steps, {rule}" + (f"; {fewer}" if fewer else "")
    )


def _evaluated(
    given: argparse.Namespace, network: SpikingNetwork, samples: Samples, output: Output
) -> Evaluation:
    backend = choose(given.backend or AUTO)
    output.print(terminal.layers(network))
    for line in terminal.heads(network):
        output.say(line)
    output.say(f"Backend {backend.name}: {backend.reason}")
    bar = progress("Simulating", quiet=given.quiet)
    with bar as report, scheduler(given.scheduler) as executor:
        return evaluate(
            network,
            samples.x,
            samples.y,
            metric=given.metric,
            class_names=samples.names,
            backend=given.backend or AUTO,
            batch_size=given.batch_size,
            progress=report,
            executor=executor,
            workers=given.workers,
            resume=None if given.resume is None else Path(given.resume),
            relays=given.relays,
        )


def _record(
    given: argparse.Namespace, network: SpikingNetwork, samples: Samples, output: Output
) -> None:
    found = network.simulate(
        samples.x, membrane=[READOUT], backend=given.backend or AUTO, batch_size=given.batch_size
    )
    total = len(samples.x)
    with progress("Recording", quiet=given.quiet) as report:
        spikes = recordings.write(
            found, network, Path(given.record), lambda done: report(done, total)
        )
    output.say(f"Recorded {spikes:,} spikes of {len(samples.x):,} samples as {given.record}")


def _cross_check(given: argparse.Namespace, network: SpikingNetwork, output: Output) -> None:
    """Compare two backends; refuse one that differs."""
    samples = samples_of_run(given, network, output)
    against = choose(given.backend or EMBEDDED).name
    checked = given.cross_check if given.cross_check != AUTO else first_other(against).name
    with progress("Simulating", quiet=given.quiet) as report:
        found = cross_check(
            network,
            samples.x,
            backend=checked,
            against=against,
            batch_size=given.batch_size,
            progress=report,
            relays=given.relays,
        )
    _write_json(given, found.to_dict())
    output.print(terminal.cross_check(found))
    if found.fault:
        raise BackendError(
            f"{found.backend} differs from {found.reference} by more than rounding, first in "
            f"{found.fault}. Do not trust it with this network."
        )
    output.say(terminal.agreement_of_backends(found))


def _write_json(given: argparse.Namespace, record: dict[str, Any]) -> None:
    if given.json is not None:
        content = json.dumps({**record, "model": given.model}, indent=2, allow_nan=False)
        files.write(Path(given.json), content.encode())
