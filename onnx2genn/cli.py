"""The command ``onnx2genn``; the only module that prints."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx2genn.errors import CodingError, DataError, Onnx2GennError, UnsupportedModelError

if TYPE_CHECKING:
    from rich.console import Console

    from onnx2genn.api import SpikingNetwork
    from onnx2genn.data import Progress, Samples
    from onnx2genn.evaluate.result import Evaluation

_DONE, _REFUSED, _USAGE, _INTERRUPTED = 0, 1, 2, 130
_RANDOM_SAMPLES = 16
_FILE_WIDTH = 120


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after the program's name; those of the process if None.

    Returns:
        Exit status: 0 done; 1 the model or the data cannot be handled; 2 wrong usage.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        with _warnings_as_lines():
            return _run(options)
    except CodingError as error:
        parser.error(str(error))
    except Onnx2GennError as error:
        print(f"onnx2genn: error: {error}", file=sys.stderr)
        return _REFUSED
    except KeyboardInterrupt:
        print("onnx2genn: interrupted", file=sys.stderr)
        return _INTERRUPTED


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Show warnings as the command's own, without the line of code that they come from."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(
            f"onnx2genn: warning: {message}", file=sys.stderr
        )
        yield


def _parser() -> argparse.ArgumentParser:
    from onnx2genn.backends.registry import AUTO, BACKENDS
    from onnx2genn.coding import CODINGS, DEFAULT, PRESETS
    from onnx2genn.coding.base import THRESHOLD_RULES

    parser = argparse.ArgumentParser(
        prog="onnx2genn",
        description="Turn a trained network in an ONNX file into a spiking neural network, run it "
        "and compare it with the original.",
        epilog="Data files are .npz with arrays x (and y), .npy with x, or a folder with one "
        "folder of images for each class; for a model with several inputs, .npz with arrays of "
        "their names (and y).",
    )
    parser.add_argument(
        "model", metavar="MODEL.onnx", nargs="?", help="a trained network, or one saved by --save"
    )
    parser.add_argument("--check", action="store_true", help="only say what cannot be converted")
    parser.add_argument(
        "--doctor", action="store_true", help="only say which backends this machine has"
    )
    parser.add_argument(
        "--calibrate", metavar="FILE", help="training samples, to choose thresholds from"
    )
    parser.add_argument("--evaluate", metavar="FILE", help="test samples and labels")
    parser.add_argument(
        "--limit", metavar="N", type=_positive, help="evaluate only the first N samples"
    )
    parser.add_argument("--output", metavar="NAME", help="output of the model to convert")
    group = parser.add_argument_group("coding")
    group.add_argument(
        "--coding",
        choices=[*CODINGS, *PRESETS],
        help=f"how values become spikes (default {DEFAULT}); the names "
        f"{', '.join(PRESETS)} are codings set as in a paper",
    )
    group.add_argument(
        "--steps",
        metavar="T",
        type=_steps,
        help="time steps for one sample, or auto for the fewest that keep the ANN's answers",
    )
    group.add_argument(
        "--loss",
        metavar="SHARE",
        type=float,
        help="for --steps auto, the share of calibration samples that may be answered differently "
        "(default 0.01)",
    )
    group.add_argument("--threshold", choices=THRESHOLD_RULES, help="how thresholds are chosen")
    group.add_argument("--percentile", metavar="P", type=float, help="for --threshold percentile")
    group.add_argument(
        "--option",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=_assignment,
        help="another option of the coding, as lookahead=0 or input=poisson",
    )
    group = parser.add_argument_group("simulation")
    group.add_argument(
        "--backend", choices=[AUTO, *BACKENDS], default=AUTO, help=f"simulator (default {AUTO})"
    )
    group.add_argument(
        "--batch-size", metavar="N", type=_positive, help="samples simulated at once"
    )
    group.add_argument(
        "--workers", metavar="N", type=_positive, help="processes, on single_threaded_cpu"
    )
    group.add_argument("--seed", metavar="N", type=int, default=0, help="of random input")
    group = parser.add_argument_group("results")
    group.add_argument("--save", metavar="FILE.onnx", help="save the spiking network")
    group.add_argument("--json", metavar="FILE", help="write the results")
    parser.add_argument("--version", action="version", version=f"onnx2genn {_version()}")
    return parser


def _version() -> str:
    from importlib.metadata import version

    return version("onnx2genn")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _steps(text: str) -> int | str:
    return text if text == "auto" else _positive(text)


def _assignment(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value.lower() if value in ("True", "False") else value)
    except json.JSONDecodeError:
        return name, value


def _run(options: argparse.Namespace) -> int:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    if options.doctor:
        return _doctor(console)
    if options.model is None:
        print("onnx2genn: error: MODEL.onnx is missing; see --help", file=sys.stderr)
        return _USAGE
    if options.check:
        return _check(options, console)
    for name in (options.save, options.json):
        _require_folder(name)
    network = _network(options, console)
    evaluation = _evaluation(options, network, console)
    if options.save:
        network.save(options.save)
        console.print(f"\nSaved the spiking network as {options.save}")
    if options.json:
        from onnx2genn import files

        record = {**evaluation.to_dict(), "model": options.model}
        files.write(Path(options.json), json.dumps(record, indent=2).encode())
    return _DONE


def _doctor(console: Console) -> int:
    from onnx2genn.backends.registry import BACKENDS, choose, doctor
    from onnx2genn.report import terminal

    console.print(terminal.findings(doctor()))
    console.print(terminal.backends(BACKENDS.values()))
    backend = choose()
    console.print(f"auto takes {backend.name}: {backend.reason}")
    return _DONE


def _require_folder(name: str | None) -> None:
    """Find out before the work, not after it, that a result cannot be written."""
    if name is not None and (not Path(name).absolute().parent.is_dir() or Path(name).is_dir()):
        raise DataError(f"{name} cannot be written: there is no such folder, or it is one.")


def _check(options: argparse.Namespace, console: Console) -> int:
    from onnx2genn.frontend.pipeline import check

    problems = check(options.model, output=options.output)
    if not problems:
        console.print(f"{options.model} can be converted.")
        return _DONE
    raise UnsupportedModelError(f"{options.model} cannot be converted.", problems)


def _network(options: argparse.Namespace, console: Console) -> SpikingNetwork:
    """Load a saved network, or convert a model."""
    from onnx2genn import coding as codings
    from onnx2genn.api import convert, load
    from onnx2genn.frontend.file import load_proto
    from onnx2genn.saving import is_saved_network

    proto = load_proto(options.model)
    if is_saved_network(proto):
        _refuse_coding_options(options)
        network = load(proto)
        console.print(f"Loaded {options.model}: {_coding_line(network)}")
        return network
    chosen = codings.make(options.coding or codings.DEFAULT, **_coding_options(options))
    if "seed" not in dict(options.option) and "seed" in chosen.options():
        chosen = codings.make(chosen, seed=options.seed)
    with _progress("Calibrating") as progress:
        network = convert(
            proto,
            options.calibrate,
            chosen,
            steps="auto" if options.steps == "auto" else None,
            loss=options.loss,
            output=options.output,
            progress=progress,
        )
    for note in network.model.graph.notes:
        console.print(f"Note: {note}")
    console.print(f"Converted {options.model}: {_coding_line(network)}")
    if not network.calibration_samples:
        console.print(
            "[yellow]Without calibration data the thresholds are a guess from the weights: expect "
            "a loss of accuracy, and give --calibrate FILE with training samples.[/yellow]"
        )
    return network


def _coding_options(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "steps": None if options.steps == "auto" else options.steps,
        "threshold": options.threshold,
        "percentile": options.percentile,
        **dict(options.option),
    }


def _refuse_coding_options(options: argparse.Namespace) -> None:
    given = (options.calibrate, options.coding, options.steps, *_coding_options(options).values())
    if any(given):
        raise CodingError(
            f"{options.model} is a saved spiking network with a coding and thresholds of its own; "
            "leave out --calibrate and the options of the coding, or convert the original model."
        )


def _coding_line(network: SpikingNetwork) -> str:
    coding = network.coding
    rule = f"thresholds by {coding.threshold}"
    if network.calibration_samples:
        rule += f" from {network.calibration_samples:,} samples"
    return (
        f"{network.neurons:,} neurons in {len(network.populations)} populations, "
        f"coding {coding.name}, {coding.steps} steps, {rule}"
    )


def _evaluation(
    options: argparse.Namespace, network: SpikingNetwork, console: Console
) -> Evaluation:
    """Evaluate on the data given, else on a few random inputs, and print what came out."""
    from onnx2genn.backends.registry import choose
    from onnx2genn.data import load_samples
    from onnx2genn.evaluate.evaluation import evaluate
    from onnx2genn.report import terminal

    if options.evaluate:
        samples = load_samples(options.evaluate, network.entries, options.limit)
    else:
        samples = _random(network, options.seed)
        console.print(f"No --evaluate data: running {_RANDOM_SAMPLES} random inputs.")
    backend = choose(options.backend)
    console.print(terminal.layers(network))
    console.print(f"Backend {backend.name}: {backend.reason}")
    extra = {} if options.workers is None else {"workers": options.workers}
    with _progress("Simulating") as progress:
        evaluation = evaluate(
            network,
            samples.x,
            samples.y,
            backend=options.backend,
            batch_size=options.batch_size,
            progress=progress,
            **extra,
        )
    for part in (
        terminal.summary(evaluation),
        terminal.over_time(evaluation),
        terminal.activity(evaluation),
    ):
        console.print(part)
    for line in terminal.advice(evaluation):
        console.print(f"[yellow]{line}[/yellow]")
    return evaluation


def _random(network: SpikingNetwork, seed: int) -> Samples:
    import numpy as np

    from onnx2genn.data import Samples

    random = np.random.default_rng(seed)
    shape = (_RANDOM_SAMPLES, *network.input_shape)
    return Samples(x=random.random(shape, dtype=np.float32))


@contextmanager
def _progress(label: str) -> Iterator[Progress]:
    """Show a bar on the error stream, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
