"""Words in the place of the model: ``check``, ``doctor``, ``export``, ``compare``, ``sweep``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

Words = Sequence[str]
EXPORT, COMPARE, SWEEP = "export", "compare", "sweep"


def named(words: Words) -> str | None:
    """Return the subcommand that a command line begins with, unless a file has that name."""
    first = words[0] if words else ""
    known = {*_PLAIN, *OWN}
    return first if first in known and not Path(first).is_file() else None


def in_plain_words(name: str | None, words: Words) -> list[str]:
    """Write a command line in the words of the plain form."""
    return [*words] if name is None else _PLAIN[name](words[1:])


def _export(words: Words) -> list[str]:
    if len(words) < 2 or any(word.startswith("-") for word in words[:2]):
        parser = argparse.ArgumentParser(
            prog="onnx2genn export",
            usage="onnx2genn export MODEL.onnx DIR [options of onnx2genn]",
            description="Write a PyGeNN script that runs the network without onnx2genn, and "
            "simulate nothing. The options of reading a model and of the coding apply.",
        )
        parser.parse_known_args([word for word in words if word in ("-h", "--help")])
        parser.error("MODEL.onnx and DIR are needed, in this order")
    return [words[0], "--export-genn", words[1], *words[2:]]


def _compare(words: Words) -> None:
    from onnx2genn.cli.compare import compare

    compare(words)


def _sweep(words: Words) -> None:
    from onnx2genn.cli.sweep import sweep

    sweep(words)


_PLAIN: dict[str, Callable[[Words], list[str]]] = {
    "check": lambda words: [*words, "--check"],
    "doctor": lambda words: [*words, "--doctor"],
    EXPORT: _export,
}
OWN: dict[str | None, Callable[[Words], None]] = {COMPARE: _compare, SWEEP: _sweep}
"""Those with options of their own."""

ALL = (*_PLAIN, *filter(None, OWN))
"""Every word."""
