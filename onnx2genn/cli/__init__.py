"""The command ``onnx2genn``; the only part that prints."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from onnx2genn.errors import CodingError, Onnx2GennError

_REFUSED, _INTERRUPTED = 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after the program's name; those of the process if None.

    Returns:
        Exit status: 0 done; 1 the model or the data cannot be handled; 2 wrong usage.
    """
    from onnx2genn.cli.options import parser

    words = parser()
    given = words.parse_args(arguments)
    try:
        with _warnings_as_lines():
            from onnx2genn.cli.commands import run

            run(given)
    except CodingError as error:
        words.error(str(error))
    except Onnx2GennError as error:
        print(f"onnx2genn: error: {error}", file=sys.stderr)
        return _REFUSED
    except KeyboardInterrupt:
        print("onnx2genn: interrupted", file=sys.stderr)
        return _INTERRUPTED
    return 0


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Show warnings as the command's own, without the line of code that they come from."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(
            f"onnx2genn: warning: {message}", file=sys.stderr
        )
        yield
