"""The figures of a page, and its numbers, as files of their own."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from onnx2genn import files
from onnx2genn.report.tables import Row, as_csv

_FIGURE = re.compile(r'<figure[^>]* data-figure="([^"]*)">\s*(<svg.*?</svg>)', re.DOTALL)
_SIZE = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
_COLOUR = re.compile(r"(--\w+): ([^;]+);")
_RULE = re.compile(r"^[^\n{]*:hover[^\n]*\n", re.MULTILINE)
_ZOOM = 2
_INSTALL = "pip install 'onnx2genn[figures]'"
_LONGEST_NAME = 80


def write(
    page: str, folder: Path, numbers: Mapping[str, Sequence[Row]], record: Mapping[str, Any]
) -> str:
    """Write the figures of a page as SVG and, where resvg-py is there, PNG; and all numbers.

    Args:
        page: The page.
        folder: Where to; it is made.
        numbers: Tables, each to become a CSV of its name.
        record: What ``result.json`` is to have.

    Returns:
        What was written, in a sentence.

    Raises:
        DataError: They cannot be written.
    """
    files.make_folder(folder)
    drawn = dict(figures(page))
    for name, svg in drawn.items():
        files.write(folder / f"{name}.svg", svg.encode())
    painted = _write_png(drawn, folder)
    for name, rows in numbers.items():
        files.write(folder / f"{name}.csv", as_csv(rows))
    content = json.dumps(record, indent=2, allow_nan=False)
    files.write(folder / "result.json", content.encode())
    kinds = "SVG and PNG" if painted else f"SVG (PNG needs resvg-py: {_INSTALL})"
    return (
        f"Wrote {len(drawn)} figures as {kinds} and the numbers as {len(numbers)} CSV and a JSON "
        f"to {folder}"
    )


def _write_png(drawn: Mapping[str, str], folder: Path) -> bool:
    """Write figures as PNG, if that can be done."""
    try:
        from resvg_py import svg_to_bytes
    except ImportError:
        return False
    for name, svg in drawn.items():
        png = svg_to_bytes(svg_string=svg, zoom=_ZOOM, background="#ffffff")
        files.write(folder / f"{name}.png", bytes(png))
    return True


def figures(page: str) -> Iterator[tuple[str, str]]:
    """Return the figures of a page as documents of their own, each with a name for a file.

    Args:
        page: The page, as this package makes it.
    """
    style = _style()
    taken: set[str] = set()
    for found in _FIGURE.finditer(page):
        name = _file_name(html.unescape(found[1]))
        while name in taken:
            name += "_"
        taken.add(name)
        yield name, _alone(found[2], style)


def _alone(svg: str, style: str) -> str:
    """Make a document of an SVG in a page: with its style, its size, and no links."""
    size = _SIZE.search(svg)
    width, height = (size[1], size[2]) if size else ("100%", "100%")
    head, rest = svg.split(">", 1)
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    rest = re.sub(r' href="#row[^"]*"', "", rest).replace("<a ", "<g ").replace("</a>", "</g>")
    namespace = 'xmlns="http://www.w3.org/2000/svg"'
    return f'{head} {namespace} width="{width}" height="{height}"><style>{style}</style>{rest}\n'


def _style() -> str:
    """Return the style of figures with the light colours in place: few programs know variables."""
    place = resources.files("onnx2genn.report")
    light = place.joinpath("style.css").read_text("utf-8").split("@media", 1)[0]
    colours: Mapping[str, str] = dict(_COLOUR.findall(light))
    text = place.joinpath("figures.css").read_text("utf-8")
    text = _RULE.sub("", text[text.index("*/") + 2 :])
    return re.sub(r"var\((--\w+)\)", lambda found: colours[found[1]], text)


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII)[:_LONGEST_NAME].strip("._") or "figure"
