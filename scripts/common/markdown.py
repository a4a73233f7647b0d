"""Pages of Markdown of which a script writes parts.

What stands between ``<!-- NAME: ... -->`` and ``<!-- end -->`` is written; all else stays.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Mapping

Blocks = Mapping[str, Callable[[], str]]

_BLOCK = re.compile(r"(<!-- (\w+): [^>]*-->\n).*?(<!-- end -->)", re.DOTALL)


def written(page: str, blocks: Blocks) -> str:
    """Return a page with its blocks written anew."""
    return _BLOCK.sub(lambda found: f"{found[1]}{blocks[found[2]]()}\n{found[3]}", page)


def paragraph(text: str) -> str:
    """Break a text into lines."""
    return textwrap.fill(text, 100, break_on_hyphens=False, break_long_words=False)


def table(heads: Iterable[str], lines: Iterable[Iterable[str]], left: int) -> str:
    """Write a table whose first columns are text, and the others numbers."""
    heads = list(heads)
    marks = ["---"] * left + ["---:"] * (len(heads) - left)
    rows = ["| " + " | ".join(cells) + " |" for cells in (heads, *lines)]
    return "\n".join([rows[0], f"|{'|'.join(marks)}|", *rows[1:]])


def code(language: str, lines: Iterable[str]) -> str:
    """Write a block of code."""
    return "\n".join([f"```{language}", *lines, "```"])
