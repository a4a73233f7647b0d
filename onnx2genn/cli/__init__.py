"""The command ``onnx2genn``; the only part that prints."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from onnx2genn.errors import CodingError, Onnx2GennError, printable

_REFUSED, _INTERNAL, _INTERRUPTED = 1, 70, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after the program's name; those of the process if None.

    Returns:
        Exit status: 0 done; 1 the model or the data cannot be handled; 2 wrong usage; 70 an error
        of onnx2genn itself; 130 interrupted.
    """
    try:
        return _run(arguments)
    except Onnx2GennError as error:
        _say(f"error: {error}")
        return _REFUSED
    except MemoryError:
        _say("error: the memory is not enough. Take fewer samples or a smaller --batch-size.")
        return _REFUSED
    except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001 - the last net
        if _is_interrupt(error):
            _say("interrupted")
            return _INTERRUPTED
        from onnx2genn.cli.crash import report

        _say(report(error))
        return _INTERNAL


def _run(arguments: Sequence[str] | None) -> int:
    from onnx2genn.cli import subcommands
    from onnx2genn.cli.completion import complete
    from onnx2genn.cli.config import with_configuration
    from onnx2genn.cli.options import parser

    complete()
    typed = [*(sys.argv[1:] if arguments is None else arguments)]
    name = subcommands.named(typed)
    words = parser()
    try:
        with _warnings_as_lines():
            if name in subcommands.OWN:
                subcommands.OWN[name](typed[1:])
                return 0
            given = words.parse_args(subcommands.in_plain_words(name, typed))
            with_configuration(words, given)
            from onnx2genn.cli.commands import run
            from onnx2genn.cli.output import log_to_stderr
            from onnx2genn.ir.memory import memory_budget

            with log_to_stderr(verbose=given.verbose), memory_budget(given.memory):
                run(given, typed, simulate=name != subcommands.EXPORT)
    except CodingError as error:
        words.error(printable(str(error)))
    return 0


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an exception: extension modules raise others where they start."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _say(text: str) -> None:
    with suppress(OSError, ValueError):  # nobody reads it any more
        print(printable(f"onnx2genn: {text}"), file=sys.stderr)


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Show warnings as the command's own, without the line of code that they come from."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: _say(f"warning: {message}")
        yield
