"""Equations of the site as MathML, which browsers set by themselves: a hook of mkdocs."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

_EQUATION = re.compile(
    r'<(span|div) class="arithmatex">(?:\\\((.+?)\\\)|\\\[(.+?)\\\])</\1>', re.DOTALL
)


def on_page_content(content: str, **_: Any) -> str:
    """Write the equations that arithmatex has marked as MathML."""
    return _EQUATION.sub(_mathml, content)


def _mathml(found: re.Match[str]) -> str:
    inline, block = found[2], found[3]
    if inline:
        return str(convert(html.unescape(inline)))
    written = convert(html.unescape(block), display="block")
    return f'<div style="margin: 1em 0; overflow-x: auto">{written}</div>'
