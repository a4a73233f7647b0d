"""Completion by the shell, where argcomplete is installed and registered."""

from __future__ import annotations

import argparse
import os

from onnx2genn.cli import subcommands

_ASKED = "_ARGCOMPLETE"
_LINE, _POINT = "COMP_LINE", "COMP_POINT"


def complete() -> None:
    """Answer the shell and leave, if it is the shell that asks; else do nothing."""
    if _ASKED not in os.environ:
        return
    try:
        import argcomplete
    except ImportError:
        return
    words = _words()
    name = subcommands.named(words[1:]) if len(words) > 2 else None
    parser = _parser(name)
    if name is not None:
        os.environ[_ASKED] = "2"  # The line begins behind the first word.
    else:
        (model,) = (action for action in parser._actions if action.dest == "model")
        model.completer = _model  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser, always_complete_options=False)


def _words() -> list[str]:
    """Return the words so far, the last of them perhaps begun."""
    line = os.environ.get(_LINE, "")[: int(os.environ.get(_POINT, "0"))]
    return [*line.split(), *([""] if line.endswith(" ") else [])]


def _parser(name: str | None) -> argparse.ArgumentParser:
    if name == subcommands.SWEEP:
        from onnx2genn.cli.sweep import parser

        return parser()
    if name == subcommands.COMPARE:
        from onnx2genn.cli.compare import parser as of_compare

        return of_compare()
    from onnx2genn.cli.options import parser as plain

    found = plain()
    if name == subcommands.EXPORT:
        found.add_argument("folder")
    return found


def _model(prefix: str, **_: object) -> list[str]:
    """List files, and the words that may stand in the place of a model."""
    from argcomplete.completers import FilesCompleter

    words = [word for word in subcommands.ALL if word.startswith(prefix)]
    return [*words, *FilesCompleter()(prefix)]
