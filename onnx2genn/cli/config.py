"""A run as a TOML file: the options of the command line by their names."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from onnx2genn.cli import values
from onnx2genn.cli.combinations import PLACES
from onnx2genn.errors import CodingError, DataError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_TABLES = ("option", "digits", "input_shape", "input_value", "membrane")
_ROWS = ("mean", "std")
_PLAIN = (str, int, float)


def with_configuration(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Take from the file that ``--config`` names what the command line does not give.

    Args:
        parser: The parser of the command line.
        given: What it found; the option itself is taken out.

    Raises:
        CodingError: A key is none of the options, or has another kind of value.
        DataError: The file cannot be read.
    """
    path = given.config
    del given.config
    if path is None:
        return
    base = parser.parse_args([*_words(Path(path), {*vars(given)})])
    for name, value in vars(given).items():
        if name in _TABLES:
            known = {key for key, _ in value}
            value[:0] = [item for item in getattr(base, name) if item[0] not in known]
        elif not values.is_given(value):
            setattr(given, name, getattr(base, name))


def _words(path: Path, known: set[str]) -> Iterator[str]:
    """Write a file's keys as words of the command line."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise DataError(f"{path} is no TOML: {error}.") from error
    for key, value in content.items():
        name = key.replace("-", "_")
        if name not in known:
            listed = ", ".join(sorted(item.replace("_", "-") for item in known))
            raise CodingError(f"{path}: there is no option {key!r}; there are {listed}")
        flag = f"--{name.replace('_', '-')}"
        if name in _TABLES:
            if not isinstance(value, dict):
                raise CodingError(f"{path}: {key} is a table, as [{key}]")
            for inner, item in value.items():
                text = _array(item, path.parent) if name == "input_value" else _text(item)
                yield from (flag, f"{inner}={text}")
        elif isinstance(value, bool):
            yield from [flag] if value else []
        else:
            parts = value if isinstance(value, list) and value else [value]
            if name in _ROWS and all(isinstance(part, int | float) for part in parts):
                parts = [_text(parts)]
            if not all(isinstance(part, str if name in PLACES else _PLAIN) for part in parts):
                raise CodingError(f"{path}: {key} is no text, or no number")
            for part in parts:
                text = str(path.parent / part) if name in PLACES else str(part)
                yield text if name == "model" else f"{flag}={text}"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def _array(value: Any, folder: Path) -> str:
    """Write the value of an input; a file is named from the folder of the configuration."""
    if isinstance(value, str):
        return str(folder / value) if value.endswith(values.NPY) else value
    return json.dumps(value)


def written(given: argparse.Namespace) -> str:
    """Write what was given as a configuration that does the same.

    Files are named as they were given: from the folder of the command, not of the file.
    """
    known: Mapping[str, Any] = vars(given)
    lines = [
        f"{_key(name)} = {_value(value)}"
        for name, value in known.items()
        if name not in _TABLES and values.is_given(value)
    ]
    for name in _TABLES:
        if known.get(name):
            lines += ["", f"[{_key(name)}]"]
            lines += [f"{_value(key)} = {_value(value)}" for key, value in known[name]]
    return "\n".join(lines)


def _key(name: str) -> str:
    return name.replace("_", "-")


def _value(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
