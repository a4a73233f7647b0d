"""Exceptions, one for each decision that a caller may take, and the record of a problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One reason why a model cannot be converted.

    Attributes:
        node: Name of the ONNX node, or ``operator#index(output)`` where it has none; empty for
            a problem of the model as a whole.
        operator: ONNX operator, with its domain where it is not the standard one.
        shapes: Shapes of the node's inputs without the batch axis, where known.
        reason: Why it cannot be converted.
        advice: What to do instead.
    """

    node: str
    operator: str
    reason: str
    advice: str
    shapes: tuple[tuple[int, ...], ...] = ()

    def __str__(self) -> str:
        where = f"{self.operator} {self.node!r}" if self.operator else self.node
        if self.shapes:
            where += f" with input {' and '.join(str(list(shape)) for shape in self.shapes)}"
        return f"{where}: {self.reason} {self.advice}".strip()


def printable(text: str) -> str:
    """Return text, as names from a model, that does nothing to a terminal but show itself."""
    return "".join(
        letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text
    )


class Onnx2GennError(Exception):
    """Base of everything that onnx2genn raises on purpose."""


class UnsupportedModelError(Onnx2GennError):
    """The model cannot be read or converted; ``problems`` has every reason found."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        self.problems = list(problems)
        super().__init__("\n  ".join([message, *map(str, self.problems)]))


class CalibrationError(Onnx2GennError):
    """Thresholds cannot be chosen from the calibration data."""


class DataError(Onnx2GennError):
    """Samples or labels are missing, malformed or do not fit the model."""


class BackendError(Onnx2GennError):
    """A simulator is missing, cannot build the network or cannot run it."""


class CodingError(Onnx2GennError, ValueError):
    """A coding is unknown, or has an option that it does not take or a value out of range."""
