"""Options of how samples are prepared."""

from __future__ import annotations

import argparse

from onnx2genn.cli import values
from onnx2genn.errors import CodingError, DataError
from onnx2genn.ir import preprocessing


def add_preprocessing(parser: argparse.ArgumentParser) -> None:
    """Add the options of how samples are prepared."""
    add = parser.add_argument_group(
        "samples",
        "What is done to all samples: (scale * x - mean) / std. It is saved with the network. "
        "Pixels of image files are from 0 to 1 before that.",
    ).add_argument
    add("--scale", metavar="S", type=values.ratio, help="factor, as 1/255 or 2")
    add("--mean", metavar="M[,M...]", type=values.ratios, help="one, or one for each channel")
    add("--std", metavar="S[,S...]", type=values.ratios, help="likewise")
    add(
        "--layout",
        choices=preprocessing.LAYOUTS,
        help="where samples have their channels, if that may be elsewhere than the model has them",
    )
    add(
        "--resize",
        metavar="HOW",
        type=values.resize,
        help="images of another size: stretch them, crop the middle that is as large as possible, "
        "or scale the shorter side to so many pixels and take the middle",
    )


def preprocessing_of(given: argparse.Namespace) -> preprocessing.Preprocessing:
    """Return how samples are prepared.

    Raises:
        CodingError: A value is out of range.
    """
    named = {
        name: value for name in preprocessing.NAMES if (value := getattr(given, name)) is not None
    }
    try:
        return preprocessing.Preprocessing(**named)
    except DataError as error:
        raise CodingError(f"--{error}") from error
