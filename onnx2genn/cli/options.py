"""The words of the command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from onnx2genn.cli import values
from onnx2genn.cli.preparation import add_preprocessing, preprocessing_of
from onnx2genn.errors import DataError

FIGURES: dict[str, Any] = {
    "metavar": "DIR",
    "type": values.file,
    "help": "write the figures of that page as SVG (and PNG, with resvg-py), and all numbers as "
    "CSV and JSON",
}


def parser() -> argparse.ArgumentParser:
    """Write the parser; what was not given is None, False or an empty list."""
    from onnx2genn.backends.registry import AUTO, BACKENDS
    from onnx2genn.coding import CODINGS, DEFAULT, PRESETS
    from onnx2genn.coding.base import THRESHOLD_RULES
    from onnx2genn.streams import RELAYS

    found = argparse.ArgumentParser(
        prog="onnx2genn",
        usage="onnx2genn MODEL.onnx [options], or onnx2genn check|doctor|export|compare|sweep ...",
        description="Turn a trained network in an ONNX file into a spiking neural network, run it "
        "and compare it with the original.",
        epilog="Data files are .npz with arrays x (and y), .npy with x, a folder with one "
        "folder of images for each class, or .csv (.tsv) with the path and the label of an image "
        "in each line; for a model with several inputs, .npz with arrays of "
        "their names (and y). With --option input=events, arrays of "
        "events with fields x, y, p, t and their counts, or counts [N, bins, ...].",
    )
    add = found.add_argument
    add(
        "model",
        metavar="MODEL.onnx",
        nargs="?",
        type=values.file,
        help="a trained network, or one saved by --save",
    )
    add(
        "--config",
        metavar="FILE.toml",
        type=values.file,
        help="take options from this file that are not given here",
    )
    add("--check", action="store_true", help="only say what cannot be converted")
    add("--doctor", action="store_true", help="only say which backends this machine has")
    add("--trace", action="store_true", help="say what each step of reading the model did")
    add(
        "--calibrate",
        metavar="FILE",
        type=values.file,
        help="training samples, to choose thresholds from",
    )
    add("--evaluate", metavar="FILE", type=values.file, help="test samples and labels")
    add(
        "--metric",
        metavar="NAME",
        type=values.word,
        help="what to judge answers by: accuracy, top-5, iou, correlation, mae, rmse or nrmse "
        "(default: what suits the output: accuracy of classes, iou of masks, errors of values)",
    )
    add(
        "--diagnose",
        action="store_true",
        help="try what the diagnosis advises, and say what it brings",
    )
    add("--limit", metavar="N", type=values.positive, help="evaluate only the first N samples")
    add(
        "--memory",
        metavar="GIB",
        type=values.gib,
        help="memory that reading, calibration and simulation may take (default: a quarter of the "
        "machine's)",
    )
    add_reading(found)
    add_preprocessing(found)
    add = found.add_argument_group("coding").add_argument
    add(
        "--coding",
        choices=[*CODINGS, *PRESETS],
        help=f"how values become spikes (default {DEFAULT}); the names "
        f"{', '.join(PRESETS)} are codings set as in a paper",
    )
    add(
        "--steps",
        metavar="T",
        type=values.steps,
        help="time steps for one sample, or auto for the fewest that keep the ANN's answers",
    )
    add(
        "--loss",
        metavar="SHARE",
        type=values.loss,
        help="for --steps auto, the share of calibration samples that may be answered differently, "
        "or what the metric may otherwise be off (default 0.01)",
    )
    add(
        "--digits",
        metavar="NODE=D",
        action="append",
        default=[],
        type=values.digits,
        help="digits of a population, if fewer than T; may be given several times. --steps auto "
        "chooses them itself",
    )
    add("--threshold", choices=THRESHOLD_RULES, help="how thresholds are chosen")
    add("--percentile", metavar="P", type=float, help="for --threshold percentile")
    add(
        "--option",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=values.assignment,
        help="another option of the coding, as lookahead=0 or input=events",
    )
    add = found.add_argument_group("simulation").add_argument
    add("--backend", choices=[AUTO, *BACKENDS], help=f"simulator (default {AUTO})")
    add(
        "--cross-check",
        metavar="BACKEND",
        nargs="?",
        const=AUTO,
        choices=[AUTO, *BACKENDS],
        help="run the samples on this backend and on that of --backend (default onnxruntime), and "
        "compare what every neuron sends; without a name, the first other one of this machine",
    )
    add(
        "--relays",
        choices=RELAYS,
        help="neurons on GeNN for sums that several others read: those that make it cheapest (the "
        "default, but for --export-genn), none or all",
    )
    add("--batch-size", metavar="N", type=values.positive, help="samples simulated at once")
    add("--workers", metavar="N", type=values.positive, help="processes that share all samples")
    add(
        "--scheduler",
        metavar="ADDRESS",
        type=values.word,
        help="a Dask scheduler whose workers share them",
    )
    add(
        "--resume",
        metavar="FILE",
        type=values.file,
        help="keep in FILE what was found, and go on from there after an interruption",
    )
    add("--seed", metavar="N", type=values.whole, help="of random input (default 0)")
    add = found.add_argument_group("results").add_argument
    add("--save", metavar="FILE.onnx", type=values.file, help="save the spiking network")
    add("--json", metavar="FILE", type=values.file, help="write the results")
    add("--report", metavar="FILE.html", type=values.file, help="write them as a page to read")
    add("--figures", **FIGURES)
    add(
        "--raster",
        metavar="SAMPLE",
        type=values.whole,
        help="show there what this sample, counted from 0, lets neurons send",
    )
    add(
        "--membrane",
        metavar="NODE=NEURON,...",
        action="append",
        default=[],
        type=values.neurons,
        help="and the potentials of these neurons, counted from 0; may be given several times",
    )
    add(
        "--record",
        metavar="FILE.npz|.h5",
        type=values.file,
        help="write the spikes of all populations, as events, and the logits over time",
    )
    add("--export-genn", metavar="DIR", type=values.file, help="write a PyGeNN script that runs it")
    add = found.add_mutually_exclusive_group().add_argument
    add("--quiet", action="store_true", help="print nothing but errors and warnings")
    add("--verbose", action="store_true", help="say on the error stream how long each stage took")
    found.add_argument("--version", action="version", version=f"onnx2genn {_version()}")
    return found


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the options of which part of a model is read, and how it is completed."""
    add = parser.add_argument
    add(
        "--output",
        metavar="NAME",
        action="append",
        default=[],
        type=values.word,
        help="output of the model to convert, or a tensor within it; may be given several times "
        "(default: the first of floats, and the others where they convert and cost no more)",
    )
    add(
        "--input",
        metavar="TENSOR",
        action="append",
        default=[],
        type=values.word,
        help="start at a tensor within the model: what comes before is computed of each sample, or "
        "the data are of this tensor",
    )
    add(
        "--input-shape",
        metavar="NAME=SIZE,...",
        action="append",
        default=[],
        type=values.shape,
        help="sizes of one sample without the batch, as image=3,224,224, where the model leaves "
        "them open and there is no --calibrate",
    )
    add(
        "--input-value",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=values.input_value,
        help="give an input one value for all samples, as sr=16000, state=zeros, size=[32,32] or "
        "mask=mask.npy: a number or list, zeros, ones or an array of the input's shape",
    )


def _version() -> str:
    from importlib.metadata import version

    return version("onnx2genn")


def reading_options(given: argparse.Namespace) -> dict[str, Any]:
    """Return the options of reading a model."""
    return {
        "output": given.output or None,
        "inputs": given.input,
        "input_shape": dict(given.input_shape) or None,
        "input_values": {name: _array(value) for name, value in given.input_value},
        "preprocessing": preprocessing_of(given),
    }


def _array(value: Any) -> Any:
    """Return the value of an input, read from its file if it has one."""
    if not isinstance(value, str) or not value.endswith(values.NPY):
        return value
    from onnx2genn.data.arrays import read_npy

    found = read_npy(Path(value), single=True)
    if found is None:
        raise DataError(f"{value} is a .npz archive; the value of an input is an array in .npy.")
    return found


def coding_options(given: argparse.Namespace) -> dict[str, Any]:
    """Return the options of the coding, None for those that are left to it."""
    return {
        "steps": None if given.steps == "auto" else given.steps,
        "threshold": given.threshold,
        "percentile": given.percentile,
        **dict(given.option),
    }
