"""What the words after options mean; argparse says which word is none."""

from __future__ import annotations

import argparse
import json
from contextlib import suppress
from typing import Any

from onnx2genn.ir.preprocessing import CROP, STRETCH

NPY = ".npy"


def is_given(value: Any) -> bool:
    """Whether an option has a value: without one it is None, False or an empty list."""
    return not (value is None or value is False or value == [])


def word(text: str) -> str:
    """Take a name, which is not empty."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return text


def file(text: str) -> str:
    """Take the name of a file."""
    if "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a file")
    return word(text)


def whole(text: str) -> int:
    """Take a whole number from 0 on."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def positive(text: str) -> int:
    """Take a whole number above 0."""
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def loss(text: str) -> float:
    """Take a number from 0 on."""
    if not 0 <= float(text) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 on")
    return float(text)


def gib(text: str) -> float:
    """Take a number above 0."""
    if not 0 < float(text) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of GiB above 0")
    return float(text)


def steps(text: str) -> int | str:
    """Take a whole number above 0, or ``auto``."""
    return text if text == "auto" else positive(text)


def ratio(text: str) -> float:
    """Take a number, or a fraction as 1/255."""
    above, slash, below = text.partition("/")
    try:
        return float(above) / float(below) if slash else float(above)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"{text!r} is no number, and no fraction") from None


def ratios(text: str) -> tuple[float, ...]:
    """Take numbers between commas."""
    return tuple(map(ratio, text.split(",")))


def resize(text: str) -> str | int:
    """Take ``stretch``, ``crop`` or a whole number above 0."""
    return text if text in (STRETCH, CROP) else positive(text)


def shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Take NAME=SIZE,SIZE,..."""
    name, equals, sizes = text.rpartition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=SIZE,SIZE,...")
    return name, tuple(map(positive, sizes.split(",")))


def input_value(text: str) -> tuple[str, Any]:
    """Take NAME=VALUE: a number, a list, ``zeros``, ``ones`` or the name of an .npy file."""
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    from onnx2genn.frontend.input_values import FILLS

    if value in FILLS or value.endswith(NPY):
        return name, file(value)
    for form in (value.lower(), f"[{value.lower()}]"):
        with suppress(ValueError):
            return name, json.loads(form)
    raise argparse.ArgumentTypeError(
        f"{value!r} is no number, list of numbers, true, false, zeros, ones or file.npy"
    )


def digits(text: str) -> tuple[str, int]:
    """Take NODE=D."""
    name, equals, count = text.rpartition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NODE=D")
    return name, positive(count)


def neurons(text: str) -> tuple[str, tuple[int, ...]]:
    """Take NODE=NEURON,NEURON,..."""
    name, equals, places = text.rpartition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NODE=NEURON,NEURON,...")
    return name, tuple(map(whole, places.split(",")))


def assignment(text: str) -> tuple[str, Any]:
    """Take NAME=VALUE, with a value as in JSON, or else text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value.lower() if value in ("True", "False") else value)
    except json.JSONDecodeError:
        return name, value
