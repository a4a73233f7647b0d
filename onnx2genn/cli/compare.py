"""``onnx2genn compare``: the results of several runs side by side."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from onnx2genn import files
from onnx2genn.cli import values
from onnx2genn.cli.options import FIGURES
from onnx2genn.cli.output import Output
from onnx2genn.cli.reporting import require_page, write_compared
from onnx2genn.report import comparison


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
        files.require_place(Path(given.report))
        if any(Path(given.report).resolve() == Path(item).resolve() for item in given.results):
            read.error("--report would replace a result")
    require_page(given)
    runs = comparison.read(given.results)
    output = Output()
    output.print(comparison.table(runs))
    output.print(comparison.table_of_populations(runs))
    for line in comparison.notes(runs):
        output.say(line)
    title = " and ".join(run.label for run in runs) if len(runs) == 2 else "Runs compared"
    if written := write_compared(given, ["compare", *words], runs, title):
        output.say(written)


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
    found.add_argument("--figures", **FIGURES)
    return found
