"""The terminal: lines and tables on the output, progress on the error stream."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

from onnx2genn.data import Progress
from onnx2genn.errors import printable
from onnx2genn.stages import LOG, watched

_FILE_WIDTH = 120
_FAST = 100


class Output(Console):
    """Standard output, which takes text for what it is and never stops the work.

    Names may have brackets, colons or letters that the output's encoding lacks. Where nobody reads
    it any more, the work goes on without it.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        super().__init__(highlight=False, markup=False, emoji=False, quiet=quiet)
        if not self.is_terminal:
            self.width = _FILE_WIDTH

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as :meth:`rich.console.Console.print` does."""
        try:
            super().print(*objects, **options)
            self.file.flush()
        except BrokenPipeError:
            self.on_broken_pipe()
        except OSError as error:
            print(f"onnx2genn: warning: output is lost: {error.strerror}", file=sys.stderr)
            self.on_broken_pipe()

    def say(self, text: str, style: str | None = None) -> None:
        """Print a line."""
        self.print(printable(text), style=style)

    def on_broken_pipe(self) -> None:
        """Say nothing from now on, not even when Python closes the stream at the end."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Count(ProgressColumn):
    """How many are done, and in a second, where something is counted."""

    def render(self, task: Task) -> Text:
        """Write it."""
        if task.total is None:
            return Text()
        count, speed = f"{task.completed:,.0f}/{task.total:,.0f}", task.speed
        if not speed:
            return Text(count)
        return Text(f"{count}, {speed:,.0f} / s" if speed > _FAST else f"{count}, {speed:.2g} / s")


@contextmanager
def progress(label: str, *, quiet: bool = False) -> Iterator[Progress]:
    """Show what is done on the error stream, if that is a terminal: the stage, or how many."""
    console = Console(stderr=True)
    hidden = quiet or not console.is_terminal
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        _Count(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(label, total=None)

        def count(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        def show(stage: str) -> None:
            nonlocal task
            bar.remove_task(task)
            task = bar.add_task(escape(printable(stage)) or label, total=None)
            bar.refresh()

        with watched(show):
            yield count


@contextmanager
def log_to_stderr(*, verbose: bool) -> Iterator[None]:
    """Print what is logged on the error stream, if asked to."""
    if not verbose:
        yield
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("onnx2genn: %(message)s"))
    level = LOG.level
    LOG.setLevel(logging.INFO)
    LOG.addHandler(handler)
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        LOG.setLevel(level)
