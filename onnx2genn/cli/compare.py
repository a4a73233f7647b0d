"""``onnx2genn compare``: the results of several runs side by side."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from onnx2genn import files
from onnx2genn.cli import values
from onnx2genn.cli.output import Output
from onnx2genn.report import comparison, html


def compare(words: Sequence[str]) -> None:
    """Print what ``--json`` wrote of several runs side by side, and write it as a page.

    Raises:
        DataError: A file is missing, or is no result.
    """
    read = parser()
    given = read.parse_args(words)
    if len(given.results) < 2:
        read.error("two results are needed, or more")
    if given.report is not None:
        html.require()
        files.require_place(Path(given.report))
        if any(Path(given.report).resolve() == Path(item).resolve() for item in given.results):
            read.error("--report would replace a result")
    runs = comparison.read(given.results)
    output = Output()
    output.print(comparison.table(runs))
    output.print(comparison.table_of_populations(runs))
    for line in comparison.notes(runs):
        output.say(line)
    if given.report is not None:
        command = {"command": shlex.join(["onnx2genn", "compare", *words])}
        title = " and ".join(run.label for run in runs) if len(runs) == 2 else "Runs compared"
        files.write(Path(given.report), html.compared(runs, title, command).encode())


def parser() -> argparse.ArgumentParser:
    """Write the parser of its words."""
    found = argparse.ArgumentParser(
        prog="onnx2genn compare",
        description="Set the results of several runs side by side, as --json wrote them.",
    )
    found.add_argument("results", metavar="FILE.json", nargs="+", type=values.file)
    found.add_argument(
        "--report", metavar="FILE.html", type=values.file, help="write a page to read"
    )
    return found
