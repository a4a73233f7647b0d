"""Rows of measurements: a coding with its options, written as ``rate:16,lookahead=0``."""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class Row(NamedTuple):
    """A coding and the options that it is given."""

    coding: str
    options: dict[str, Any]

    def __str__(self) -> str:
        steps = f":{self.options['steps']}" if "steps" in self.options else ""
        others = [
            f",{name}={json.dumps(value).strip(chr(34))}"
            for name, value in self.options.items()
            if name != "steps"
        ]
        return self.coding + steps + "".join(others)


def row(text: str) -> Row:
    """Read a row, ``CODING[:STEPS][,OPTION=VALUE]...``."""
    head, *rest = text.split(",")
    coding, _, steps = head.partition(":")
    options: dict[str, Any] = {"steps": int(steps)} if steps else {}
    for item in rest:
        name, _, value = item.partition("=")
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = value
    return Row(coding, options)
