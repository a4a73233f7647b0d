"""Which words of the command line go together."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from onnx2genn.cli import values
from onnx2genn.ir.preprocessing import NAMES as PREPROCESSING

CODING = ("coding", "steps", "digits", "threshold", "percentile", "option", "loss")
RESULTS = ("save", "json", "report", "figures", "record", "export_genn")
PLACES = ("model", "calibrate", "evaluate", "resume", *RESULTS)
"""Options that name files."""
RUNNING = (
    *("evaluate", "limit", "metric", "diagnose", "backend", "cross_check", "batch_size", "seed"),
    "relays",
    *("workers", "scheduler", "resume", "raster", "membrane"),
    *RESULTS,
)
_SPEECH = ("quiet", "verbose")
_WORK = (*_SPEECH, "memory")
TAKEN = {
    "doctor": _SPEECH,
    "check": (
        *(*_WORK, "model", "input", "output", "input_shape", "input_value"),
        *("calibrate", "coding", "option", "trace", "report"),
        *PREPROCESSING,
    ),
    "saved": (*_WORK, "model", *RUNNING),
    "convert": (
        *_WORK,
        *("model", "input", "output", "input_shape", "input_value", "calibrate", "trace"),
        *PREPROCESSING,
        *CODING,
        *RUNNING,
    ),
}
"""What has an effect in each mode: all else is wrong usage."""

_NEEDS: tuple[tuple[str, Callable[[argparse.Namespace], Any], str], ...] = (
    ("limit", lambda given: given.evaluate, "--evaluate"),
    ("diagnose", lambda given: given.evaluate, "--evaluate"),
    ("loss", lambda given: given.steps == "auto", "--steps auto"),
    ("digits", lambda given: given.steps != "auto", "a number of --steps"),
    ("resume", lambda given: given.evaluate, "--evaluate"),
    ("raster", lambda given: given.report or given.figures, "--report or --figures"),
    ("membrane", lambda given: given.raster is not None, "--raster"),
    *(
        (name, lambda given: given.cross_check is None, "another mode than --cross-check")
        for name in ("workers", "scheduler", "resume")
    ),
)
_EVALUATING = ("report", "figures", "raster", "membrane", "record", "metric", "diagnose")
_FLAGS_OF_CODINGS = ("steps", "threshold", "percentile")


def faults(given: argparse.Namespace, mode: str) -> list[str]:
    """List what does not go together.

    Args:
        given: What the parser found.
        mode: One of ``TAKEN``.
    """
    named = [name for name, value in vars(given).items() if values.is_given(value) and name != mode]
    found = [
        f"{_flag(name)} has no effect {_IN_MODE[mode]}" for name in named if name not in TAKEN[mode]
    ]
    found += [
        f"{_flag(name)} needs {wanted}"
        for name, is_met, wanted in _NEEDS
        if name in named and name in TAKEN[mode] and not is_met(given)
    ]
    if mode == "saved" and given.evaluate is not None and given.seed is not None:
        found.append("--seed has no effect on --evaluate with a saved spiking network")
    names = [name for name, _ in given.option]
    found += [
        f"{name} is given twice, by {_flag(name)} and by --option"
        for name in (*_FLAGS_OF_CODINGS, "seed")
        if name in names and getattr(given, name) is not None
    ]
    found += [f"--option {name}= is given twice" for name in {*names} if names.count(name) > 1]
    if given.cross_check is not None:
        found += [
            f"{_flag(name)} has no effect with --cross-check"
            for name in _EVALUATING
            if name in named
        ]
    if given.workers and given.scheduler:
        found.append("--workers and --scheduler are two ways to the same: give one")
    return found + _overwriting(given)


_IN_MODE = {
    "doctor": "with --doctor",
    "check": "with --check",
    "saved": "on a saved spiking network, which has a coding and thresholds of its own",
    "convert": "while a model is converted",
}


def _overwriting(given: argparse.Namespace) -> list[str]:
    """Find results that would take the place of something else of this command."""
    found: list[str] = []
    places: dict[Path, str] = {}
    for name in PLACES:
        path = getattr(given, name)
        if path is None:
            continue
        place = Path(os.path.realpath(path))  # unlike resolve, also for links in a circle
        if place in places and name in ("resume", *RESULTS) and not _is_device(place):
            found.append(f"{_flag(name)} would replace {_flag(places[place])}")
        places[place] = name
    return found


def _is_device(place: Path) -> bool:
    return place.exists() and not place.is_file()


def _flag(name: str) -> str:
    return "MODEL.onnx" if name == "model" else f"--{name.replace('_', '-')}"
